"""A belief net below a machine: its terms, and that without weights it is the belief net itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.models import belief_net
from nvil_repro.models.belief_net import sample_p
from nvil_repro.models.undirected_top import (
    DeepBeliefNet,
    deep_belief_net,
    log_p_terms,
    log_weight,
    mean_images,
    parameters,
    with_parameters,
)

EXACT = {"rtol": 0, "atol": 1e-10}
LAYERS = pytest.mark.parametrize("layers", [(3,), (2, 3)])


def random_model(layers: tuple[int, ...], visible: int = 4, top: int = 2, replicas: int = 2) -> DeepBeliefNet:
    """Parameters all over the place."""
    mean = torch.full((visible,), 0.3, dtype=torch.float64)
    model = deep_belief_net(
        visible, layers, top, range(replicas), train_mean=mean, baseline_units=3, dtype=torch.float64
    )
    generator = torch.Generator().manual_seed(len(layers))
    return with_parameters(
        model, [torch.randn(p.shape, generator=generator, dtype=p.dtype) for _, p in parameters(model)]
    )


def some_bits(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.5).double()


@LAYERS
def test_the_last_term_sums_out_the_hidden_units_on_top(layers: tuple[int, ...]) -> None:
    model, x, h = random_model(layers), some_bits(1, 5, 4), [some_bits(2, 5, size) for size in layers]
    y = enumerate_bits(2)  # the hidden units on top
    joint = torch.einsum("rbh,rhk,yk->rby", h[-1], model.weight, y)
    joint = joint + (h[-1] @ model.net.prior[..., None]) + (y @ model.hidden_bias[..., None]).mT
    found = log_p_terms(model, x, h)
    torch.testing.assert_close(found[-1], joint.logsumexp(-1), **EXACT)
    torch.testing.assert_close(found[:-1], belief_net.log_p_terms(model.net, x, h)[:-1], **EXACT)
    expected = found.sum(0) - belief_net.log_q_terms(model.net, x, h).sum(0)
    torch.testing.assert_close(log_weight(model, x, h), expected, **EXACT)


@LAYERS
def test_without_weights_it_is_the_belief_net(layers: tuple[int, ...]) -> None:
    model, x, h = random_model(layers), some_bits(1, 5, 4), [some_bits(2, 5, size) for size in layers]
    still = model._replace(weight=torch.zeros_like(model.weight))
    log_z = torch.logaddexp(model.net.prior, torch.zeros(())).sum(-1)
    log_z = log_z + torch.logaddexp(model.hidden_bias, torch.zeros(())).sum(-1)
    excess = (log_p_terms(still, x, h) - belief_net.log_p_terms(model.net, x, h)).sum(0)
    torch.testing.assert_close(excess, log_z[:, None].expand(2, 5), **EXACT)
    control = (log_p_terms(model, x, h) - belief_net.log_p_terms(model.net, x, h)).sum(0)
    assert (control - log_z[:, None]).abs().max() > 0.1


@LAYERS
def test_images_come_down_from_the_machines_states(layers: tuple[int, ...]) -> None:
    """As the belief net's own samples do, whose prior draws the same states."""
    model, sizes = random_model(layers), (4, *layers)
    u = [torch.rand(1, 6, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in sizes]
    samples = sample_p(model.net, u)
    found = mean_images(model, samples[-1], list(reversed(u[1:-1])))
    torch.testing.assert_close((u[0] < found).double(), samples[0], **EXACT)
    assert not torch.equal((u[0] < 1 - found).double(), samples[0])  # control


def test_a_fresh_model_is_a_fresh_belief_net_with_a_machine_that_says_nearly_nothing() -> None:
    fresh = deep_belief_net(4, (3,), 2, (0, 1), train_mean=torch.full((4,), 0.5))
    expected = belief_net.belief_net(4, (3,), (0, 1), train_mean=torch.full((4,), 0.5))
    named, plain = dict(parameters(fresh)), dict(belief_net.parameters(expected))
    assert all(torch.equal(named[name], tensor) for name, tensor in plain.items())
    assert set(named) - set(plain) == {"model/top/weight", "model/top/hidden_bias"}
    assert 0 < fresh.weight.abs().max() < 0.1
    assert not torch.equal(fresh.weight[0], fresh.weight[1])
    with pytest.raises(ValueError, match="top=0"):
        deep_belief_net(4, (3,), 0, (0,), train_mean=torch.full((4,), 0.5))
