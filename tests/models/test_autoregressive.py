"""Layers whose units condition on one another: one triangle for sampler, log-probability, gradient and evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.evaluation.exact import exact_bound, exact_log_likelihood
from nvil_repro.evaluation.weights import log_weights
from nvil_repro.models import autoregressive
from nvil_repro.models.arrays import net_from_arrays, net_to_arrays
from nvil_repro.models.belief_net import (
    Architecture,
    belief_net,
    log_p_terms,
    log_weight,
    parameters,
    sample_p,
    sample_q,
)
from tests import oracle

EXACT = {"rtol": 0, "atol": 1e-12}


def layer(units: int = 9, cases: int = 40, replicas: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(replicas, cases, units, generator=generator, dtype=torch.float64)
    u = torch.rand(1, cases, units, generator=generator, dtype=torch.float64)
    return a, u, torch.randn(replicas, units, units, generator=generator, dtype=torch.float64)


def test_compiled_and_plain_draws_are_the_same_bits():
    a, u, lateral = layer()
    bits, log_prob = autoregressive.draw(a, u, lateral)
    plain, by_unit = autoregressive.draw_by_unit(a, u, lateral)
    assert torch.equal(bits, plain)
    torch.testing.assert_close(log_prob, by_unit, **EXACT)
    other, _ = autoregressive.draw(a, u, lateral.mT.contiguous())
    assert not torch.equal(bits, other)  # control: the triangle matters


def test_what_lies_on_or_below_the_diagonal_is_nobody_s_input():
    a, u, lateral = layer()
    bits, log_prob = autoregressive.draw(a, u, lateral)
    dirty = lateral + 100 * torch.ones(9, 9, dtype=torch.float64).tril()
    assert all(
        torch.equal(x, y) for x, y in zip((bits, log_prob), autoregressive.draw(a, u, dirty), strict=True)
    )
    seen = autoregressive.logits(a, bits, dirty)
    assert torch.equal(seen, autoregressive.logits(a, bits, lateral))
    assert not torch.equal(seen, a)


@pytest.mark.parametrize("layers", [(3,), (3, 2)])
def test_evaluation_is_the_oracle_s(layers):
    net, x = oracle.random_net(layers, architecture=oracle.FULL), oracle.random_bits(11, 4)
    torch.testing.assert_close(exact_log_likelihood(net, x)[0], oracle.log_likelihood(net, x), **EXACT)
    torch.testing.assert_close(exact_bound(net, x)[0], oracle.bound(net, x), **EXACT)
    factorial = net._replace(prior_lateral=torch.zeros(0))
    assert (exact_log_likelihood(factorial, x) - exact_log_likelihood(net, x)).abs().max() > 1e-3


def test_log_weights_are_those_of_the_same_bits():
    net, x = oracle.random_net((3, 2), replicas=2, architecture=oracle.FULL), oracle.random_bits(3, 4)
    u = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = log_weights(net, x, u)
    cases = x.repeat_interleave(6, 0)[None]
    h = sample_q(net, cases, u.flatten(0, 1)[None].split(net.layers, -1))
    torch.testing.assert_close(found.flatten(1), log_weight(net, cases, h), **EXACT)


def test_probabilities_of_all_states_sum_to_one():
    net = oracle.random_net((3, 2), architecture=oracle.FULL)
    x, *h = (b[None] for b in oracle.all_states((4, 3, 2)))
    assert abs(log_p_terms(net, x, h).sum(0).exp().sum().item() - 1) < 1e-12


def test_a_net_survives_the_border():
    net = oracle.random_net((3, 2), architecture=oracle.FULL)
    back = net_from_arrays(**net_to_arrays(net))
    for (name, a), (_, b) in zip(parameters(net), parameters(back), strict=True):
        assert torch.equal(a, b), name
    assert back.architecture == oracle.FULL


def test_lateral_weights_of_another_triangle_are_refused():
    arrays = net_to_arrays(oracle.random_net((3,), architecture=oracle.FULL))
    weight, bias, lateral = arrays["recognition"][0]
    arrays["recognition"][0] = (weight, bias, lateral.T)
    with pytest.raises(ValueError, match=r"recognition\[0\] lateral must be strictly upper triangular"):
        net_from_arrays(**arrays)
    arrays["recognition"][0] = (weight, bias, lateral[:2])
    with pytest.raises(ValueError, match=r"recognition\[0\] lateral has shape \[2, 3\], expected \[3, 3\]"):
        net_from_arrays(**arrays)


def test_lateral_weights_and_uniforms_of_other_sizes_are_refused():
    a, u, lateral = torch.zeros(2, 5, 4), torch.full((1, 5, 4), 0.5), torch.zeros(2, 4, 4)
    assert autoregressive.draw(a, u, lateral)[0].shape == (2, 5, 4)
    for wrong in (lateral[:, :3, :3], torch.zeros(2, 5, 5), lateral[:1], lateral[0]):
        with pytest.raises(ValueError, match=r"lateral has shape .*, expected \[2, 4, 4\]"):
            autoregressive.draw(a, u, wrong)
    for wrong in (u[:, :4], u[..., :3], u.expand(3, 5, 4)):
        with pytest.raises(ValueError, match=r"uniforms have shape .*, expected \[2, 5, 4\]"):
            autoregressive.draw(a, wrong, lateral)
    net = oracle.random_net((3, 2), architecture=oracle.FULL)
    with pytest.raises(ValueError, match="lateral has shape"):
        sample_p(net._replace(prior_lateral=torch.zeros(1, 1, 1)), [torch.rand(1, 1, n) for n in (4, 3, 2)])


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        (Architecture(), "SBN"),
        (Architecture(prior=True), "fDARN"),
        (Architecture(prior=True, visible=True), "DARN"),
        (Architecture(inference=True), "SBN"),
    ],
)
def test_a_fresh_net_has_its_architecture_and_starts_factorial(architecture, name):
    net = belief_net(5, (3, 2), [0], train_mean=torch.full((5,), 0.3), architecture=architecture)
    assert net.architecture == architecture
    assert architecture.name == name
    laterals = [p for key, p in parameters(net) if key.endswith("lateral")]
    assert len(laterals) == architecture.prior + architecture.visible + 2 * architecture.inference
    assert all(np.all(p.numpy() == 0) for p in laterals)
