"""The belief net: log-probabilities against the oracle, samplers against log-probabilities, its start."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.models import belief_net as bn
from tests import oracle

ALMOST_ONE = 1 - 2.0**-53
EXACT = {"rtol": 0, "atol": 1e-12}


def measures(sampler, states):
    """The measure of the uniforms that make `sampler` return each state: [C].

    A uniform of 0 makes a bit one and one of almost 1 makes it zero, so uniforms can steer the sampler into
    every state. From there the threshold of each unit is bisected, the others kept where they are.
    """
    steered = [(1 - bits) * ALMOST_ONE for bits in states]
    for bits, reached in zip(states, sampler(steered), strict=True):
        assert torch.equal(bits, reached)
    total = torch.ones(len(states[0]), dtype=torch.float64)
    for i, bits in enumerate(states):
        for j in range(bits.shape[-1]):
            low, high = torch.zeros(len(bits)).double(), torch.ones(len(bits)).double()
            for _ in range(60):
                middle = (low + high) / 2
                layer = steered[i].clone()
                layer[:, j] = middle
                fired = sampler([*steered[:i], layer, *steered[i + 1 :]])[i][:, j] == 1
                low, high = torch.where(fired, middle, low), torch.where(fired, high, middle)
            total = total * torch.where(bits[:, j] == 1, low, 1 - low)
    return total


def assert_sampler_of_q_agrees(net):
    states = oracle.all_states(net.layers)
    for x in oracle.random_bits(2, 4):
        cases = x.expand(len(states[0]), -1)
        found = measures(
            lambda u, x=cases: [b[0] for b in bn.sample_q(net, x[None], [a[None] for a in u])], states
        )
        torch.testing.assert_close(
            found, bn.log_q_terms(net, cases[None], [b[None] for b in states]).sum(0)[0].exp(), **EXACT
        )
        torch.testing.assert_close(found.sum(), torch.tensor(1.0).double(), **EXACT)


def assert_sampler_of_p_agrees(net):
    states = oracle.all_states((len(net.centre), *net.layers))
    found = measures(lambda u: [b[0] for b in bn.sample_p(net, [a[None] for a in u])], states)
    x, *h = (b[None] for b in states)
    torch.testing.assert_close(found, bn.log_p_terms(net, x, h).sum(0)[0].exp(), **EXACT)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0).double(), **EXACT)


@pytest.mark.parametrize("architecture", [bn.SBN, oracle.FULL], ids=str)
@pytest.mark.parametrize("layers", [(3,), (3, 2), (2, 3, 2)])
def test_samplers_draw_what_the_log_probabilities_say(layers, architecture):
    net = oracle.random_net(layers, architecture=architecture)
    assert_sampler_of_q_agrees(net)
    assert_sampler_of_p_agrees(net)


def test_a_sampler_that_reads_other_inputs_is_noticed(monkeypatch):
    net = oracle.random_net((3, 2))
    right = bn.sample_q
    monkeypatch.setattr(
        bn, "sample_q", lambda net, x, u: right(net._replace(centre=torch.zeros(4).double()), x, u)
    )
    with pytest.raises(AssertionError):
        assert_sampler_of_q_agrees(net)
    right_p = bn.sample_p
    monkeypatch.setattr(bn, "sample_p", lambda net, u: right_p(net._replace(prior=net.prior + 1e-6), u))
    with pytest.raises(AssertionError):
        assert_sampler_of_p_agrees(net)


@pytest.mark.parametrize("architecture", [bn.SBN, oracle.FULL], ids=str)
@pytest.mark.parametrize("layers", [(3,), (3, 2), (4, 3, 2)])
def test_log_probabilities_are_the_oracle_s(layers, architecture):
    net = oracle.random_net(layers, replicas=3, architecture=architecture)
    x = oracle.random_bits(3, 5, 4)
    h = [oracle.random_bits(3, 5, size, seed=size) for size in layers]
    p, q, w = bn.log_p_terms(net, x, h), bn.log_q_terms(net, x, h), bn.log_weight(net, x, h)
    for r in range(3):
        bits = [b[r] for b in h]
        torch.testing.assert_close(p[:, r], oracle.log_p(net, x[r], bits, r), **EXACT)
        torch.testing.assert_close(q[:, r], oracle.log_q(net, x[r], bits, r), **EXACT)
        torch.testing.assert_close(w[r], p[:, r].sum(0) - q[:, r].sum(0), **EXACT)


def test_probabilities_sum_to_one():
    net = oracle.random_net((3, 2))
    x, *h = (b[None] for b in oracle.all_states((4, 3, 2)))
    assert abs(bn.log_p_terms(net, x, h).sum(0).exp().sum().item() - 1) < 1e-12


def test_replicas_with_equal_seeds_start_equal_and_others_do_not():
    net = bn.belief_net(6, (4, 3), [0, 7, 0], train_mean=torch.full((6,), 0.2), dtype=torch.float64)
    assert net.layers == (4, 3)
    assert net.replicas == 3
    for name, p in bn.parameters(net):
        assert torch.equal(p[0], p[2]), name
    assert not torch.equal(net.generative[0].weight[0], net.generative[0].weight[1])
    alone = bn.belief_net(6, (4, 3), [7], train_mean=torch.full((6,), 0.2), dtype=torch.float64)
    for (name, p), (_, q) in zip(bn.parameters(net), bn.parameters(alone), strict=True):
        assert torch.equal(p[1], q[0]), name


def test_it_starts_near_the_marginals_of_the_data():
    mean = torch.tensor([0.0, 0.5, 1.0])
    net = bn.belief_net(3, (2,), [0], train_mean=mean)
    torch.testing.assert_close(torch.sigmoid(net.generative[0].bias[0]), mean * 0.98 + 0.01)


@pytest.mark.parametrize(
    ("visible", "layers", "mean"),
    [(3, (), [0.5] * 3), (3, (0,), [0.5] * 3), (3, (2,), [0.5] * 4), (3, (2,), [0.5, 1.5, 0.0])],
)
def test_sizes_that_make_no_sense_are_refused(visible, layers, mean):
    with pytest.raises(ValueError, match="got"):
        bn.belief_net(visible, layers, [0], train_mean=torch.tensor(mean))


@pytest.mark.parametrize("architecture", [bn.SBN, oracle.FULL], ids=str)
def test_other_tensors_take_the_parameters_places_in_order(architecture):
    net = oracle.random_net((3, 2), architecture=architecture)
    doubled = bn.with_parameters(net, [2 * p for _, p in bn.parameters(net)])
    assert doubled.architecture == architecture
    for (name, p), (other, q) in zip(bn.parameters(net), bn.parameters(doubled), strict=True):
        assert name == other
        assert torch.equal(2 * p, q), name
    every = [p for _, p in bn.parameters(net)]
    for wrong in (every[:-1], [*every, every[0]]):
        with pytest.raises(ValueError, match=f"{len(wrong)} tensors for a net of {len(every)} parameters"):
            bn.with_parameters(net, wrong)


def test_a_net_whose_parameters_do_not_fit_is_refused_by_name():
    net = oracle.random_net((3, 2), architecture=oracle.FULL)
    bn.check_net(net)
    tensors = [tensor for _, tensor in bn.parameters(net)]
    for at, (name, tensor) in enumerate(bn.parameters(net)):
        if name.endswith("bias") or name == "model/prior":
            continue  # sizes are theirs
        for wrong in (tensor[..., :-1], torch.cat([tensor, tensor]), tensor.float()):
            changed = bn.with_parameters(net, [*tensors[:at], wrong, *tensors[at + 1 :]])
            with pytest.raises(ValueError, match=f"{name} is .*: expected torch.float64"):
                bn.check_net(changed)
    with pytest.raises(ValueError, match="expected as many in each"):
        bn.check_net(net._replace(generative=net.generative[:1]))
