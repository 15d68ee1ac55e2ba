"""The gradients below and above, against the exact bound of nets small enough to enumerate, log Z and all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import VARIANTS, Ingredients, SignalState, signal_state
from nvil_repro.learning.undirected_top import undirected_gradients
from nvil_repro.models import belief_net, rbm
from nvil_repro.models.undirected_top import DeepBeliefNet, log_weight, parameters, with_parameters
from tests.models.test_undirected_top import random_model, some_bits

EXACT = {"rtol": 0, "atol": 1e-10}
X = torch.tensor([[0, 1, 1, 0]]).double()[None]  # [1, 1, 4], one case


def states(layers: tuple[int, ...]) -> list[Tensor]:
    """Every state of h^1..h^L: [C, H_i] each."""
    return list(enumerate_bits(sum(layers)).split(layers, -1))


def exact_gradient(model: DeepBeliefNet, layers: tuple[int, ...]) -> dict[str, Tensor]:
    """Of L(x) = E_Q[log P*(x, h) - log Q(h | x)] - log Z, by autograd through the sums themselves."""
    leaves = [tensor.clone().requires_grad_() for _, tensor in parameters(model)]
    moved, h = with_parameters(model, leaves), states(layers)
    log_z = rbm.log_unnormalised(moved.top, enumerate_bits(layers[-1])[None]).logsumexp(-1)
    x, h = X.expand(1, len(h[0]), 4), [part[None] for part in h]
    q = belief_net.log_q_terms(moved.net, x, h).sum(0).exp()
    bound = (q * log_weight(moved, x, h)).sum(-1) - log_z
    found = torch.autograd.grad(bound.sum(), leaves, allow_unused=True, materialize_grads=True)
    return {name: slope for (name, _), slope in zip(parameters(model), found, strict=True)}


def expected_gradient(
    model: DeepBeliefNet, layers: tuple[int, ...], negative: Tensor, *arguments: Any
) -> dict[str, Tensor]:
    """Of the estimator at one case: every h weighed by Q(h | x), every end of a chain by `negative` [2^H_L]; R = 1."""
    total = [torch.zeros_like(tensor) for _, tensor in parameters(model)]
    q = belief_net.log_q_terms(
        model.net, X.expand(1, 2 ** sum(layers), 4), [part[None] for part in states(layers)]
    )
    ends = enumerate_bits(layers[-1])
    for weight, *h in zip(q.sum(0)[0].exp(), *states(layers), strict=True):
        for share, end in zip(negative, ends, strict=True):
            slopes, _ = undirected_gradients(
                model, X, [part[None, None] for part in h], end[None, None], *arguments
            )
            total = [
                t + weight * share * slope for t, (_, slope) in zip(total, parameters(slopes), strict=True)
            ]
    return {name: slope for (name, _), slope in zip(parameters(model), total, strict=True)}


@pytest.mark.parametrize("layers", [(3,), (2, 2)])
def test_below_a_chain_at_rest_the_estimator_is_unbiased(layers: tuple[int, ...]) -> None:
    model = random_model(layers, replicas=1)
    rest = rbm.log_unnormalised(model.top, enumerate_bits(layers[-1])[None])[0].softmax(-1)
    exact, arguments = (
        exact_gradient(model, layers),
        (signal_state(len(layers), 1, torch.float64), VARIANTS["none"]),
    )
    found = expected_gradient(model, layers, rest, *arguments)
    for name, slope in exact.items():
        torch.testing.assert_close(found[name], slope, **EXACT, msg=name)
    wrong = expected_gradient(model, layers, torch.full_like(rest, 1 / len(rest)), *arguments)  # control
    for name, slope in exact.items():
        assert torch.allclose(wrong[name], slope) == (not name.startswith(("model/top", "model/prior"))), name


def with_constant(model: DeepBeliefNet) -> DeepBeliefNet:
    """One more hidden unit on top, without weights: p as before, log p* and log Z greater by log(1 + e^3)."""
    weight = torch.cat([model.weight, torch.zeros_like(model.weight[..., :1])], -1)
    bias = torch.cat([model.hidden_bias, torch.full_like(model.hidden_bias[:, :1], 3.0)], -1)
    return DeepBeliefNet(model.net, weight, bias)


def test_the_inference_networks_expected_gradient_does_not_know_log_z() -> None:
    """With the baselines on; variance normalisation, which no theorem covers, off."""
    model, still = random_model((3,), replicas=1), Ingredients(variance_normalisation=False)
    state = SignalState(torch.full((1, 1), -2.0).double(), torch.zeros(1, 1).double())
    rest = torch.eye(8, dtype=torch.float64)[0]
    one, other = (expected_gradient(m, (3,), rest, state, still) for m in (model, with_constant(model)))
    for name, slope in one.items():
        if name.startswith("inference"):
            torch.testing.assert_close(other[name], slope, **EXACT)
            assert slope.abs().max() > 1e-2
    h, end = [some_bits(1, 1, 3)], some_bits(1, 1, 3)
    pair = [undirected_gradients(m, X, h, end, state, still)[0] for m in (model, with_constant(model))]
    first, second = (m.net.recognition[0].bias for m in pair)
    assert (first - second).abs().max() > 0.1  # control: a single sample's does


def test_the_running_mean_takes_log_z_in() -> None:
    model, x, h = random_model((3,)), some_bits(1, 6, 4), [some_bits(2, 6, 3)]
    used = []
    for one in (model, with_constant(model)):
        state = signal_state(1, 2, torch.float64)
        for _ in range(120):
            _, signals = undirected_gradients(one, x, h, h[0], state)
            state = signals.state
        used.append(signals.used)
    torch.testing.assert_close(*used, **EXACT)
    begin = signal_state(1, 2, torch.float64)
    first, second = (undirected_gradients(m, x, h, h[0], begin)[1] for m in (model, with_constant(model)))
    assert (first.used - second.used).abs().max() > 0.1  # control: at first it has not


def test_without_weights_it_is_nvil() -> None:
    """Chains at their mean, sigma of the prior's logits, leave the prior its own gradient."""
    model, x, h = random_model((2, 3)), some_bits(1, 5, 4), [some_bits(2, 5, 2), some_bits(2, 5, 3)]
    model = model._replace(weight=torch.zeros_like(model.weight))
    ends, state = torch.sigmoid(model.net.prior)[:, None], signal_state(2, 2, torch.float64)
    found, signals = undirected_gradients(model, x, h, ends, state, VARIANTS["full"])
    expected, plain = nvil_gradients(model.net, x, h, state, VARIANTS["full"])
    for (name, a), (_, b) in zip(
        belief_net.parameters(found.net), belief_net.parameters(expected), strict=True
    ):
        if name.startswith("model"):
            torch.testing.assert_close(a, b, **EXACT)
    excess = signals.raw - plain.raw  # log Z
    torch.testing.assert_close(excess, excess[:1, :, :1].expand_as(excess), **EXACT)
    assert excess.min() > 1


def test_the_switch_of_the_input_dependent_baseline() -> None:
    model, x, h = random_model((3,)), some_bits(1, 5, 4), [some_bits(2, 5, 3)]
    state = signal_state(1, 2, torch.float64)
    for switch in (True, False):
        found, _ = undirected_gradients(model, x, h, h[0], state, Ingredients(input_baseline=switch))
        assert (found.net.baselines[0].output.bias.abs().min() > 0) == switch
