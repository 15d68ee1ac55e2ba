"""The general road, autograd through any modules, equals the closed form for every row of switches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from nvil_repro.learning import closed_form, nvil
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.general import nvil_loss
from nvil_repro.learning.nvil import Ingredients, SignalState
from nvil_repro.models.belief_net import SBN, parameters
from nvil_repro.models.modules import as_modules
from nvil_repro.trees import replica
from tests import oracle

ROWS = list(itertools.product([True, False], repeat=4))
SWITCHES = Ingredients(
    *(torch.tensor(column) for column in zip(*ROWS, strict=True))
)  # [16], one replica each
EXACT = {"rtol": 0, "atol": 1e-10}


def problem(layers, replicas=16, cases=5, architecture=SBN):
    net = oracle.random_net(layers, replicas=replicas, architecture=architecture)
    x = oracle.random_bits(replicas, cases, 4)
    h = tuple(oracle.random_bits(replicas, cases, size, seed=5 + i) for i, size in enumerate(layers))
    generator = torch.Generator().manual_seed(3)
    mean, variance = torch.randn(2, len(layers), replicas, generator=generator, dtype=torch.float64)
    return net, x, h, SignalState(mean, variance.abs() * 9)


def module_gradients(model, inference, baselines):
    """Ascent directions in the names and layout of `parameters(net)`."""
    gradients = {"model/prior": model.prior.bias.grad}
    if model.prior.lateral is not None:
        gradients["model/prior_lateral"] = model.prior.lateral.grad.mT  # used as it is stored
    groups = [("model", model.layers), ("inference", inference.layers)]
    linears = [(f"{group}/{i}", f) for group, layers in groups for i, f in enumerate(layers)]
    for i, baseline in enumerate(baselines):
        linears += [
            (f"baseline/{i}/hidden", baseline.network[0]),
            (f"baseline/{i}/output", baseline.network[2]),
        ]
    for name, linear in linears:
        gradients |= {f"{name}/weight": linear.weight.grad, f"{name}/bias": linear.bias.grad}
        if getattr(linear, "lateral", None) is not None:
            gradients[f"{name}/lateral"] = linear.lateral.grad.mT  # used as it is stored
    zero = torch.zeros((), dtype=torch.float64)  # of a baseline that is switched off
    return {name: zero if g is None else -g.mT if g.ndim > 1 else -g for name, g in gradients.items()}


def assert_roads_meet(layers, architecture=SBN):
    net, x, h, state = problem(layers, architecture=architecture)
    fast, signals = nvil_gradients(net, x, h, state, SWITCHES)
    for r, row in enumerate(ROWS):
        model, inference, baselines = as_modules(net, r)
        loss, general = nvil_loss(
            model,
            inference,
            x[r],
            tuple(layer[r] for layer in h),
            SignalState(state.mean[:, r], state.variance[:, r]),
            baselines=baselines,
            ingredients=Ingredients(*row),
        )
        loss.backward()
        slow = module_gradients(model, inference, baselines)
        for name, gradient in parameters(fast):
            torch.testing.assert_close(gradient[r], slow[name].expand_as(gradient[r]), **EXACT)
        for part, same in ((signals.raw, general.raw), (signals.used, general.used)):
            torch.testing.assert_close(part[:, r], same, **EXACT)
        torch.testing.assert_close(signals.state.mean[:, r], general.state.mean, **EXACT)
        torch.testing.assert_close(signals.state.variance[:, r], general.state.variance, **EXACT)


@pytest.mark.parametrize("architecture", [SBN, oracle.FULL], ids=str)
@pytest.mark.parametrize("layers", [(3,), (3, 2), (4, 3, 2)])
def test_both_roads_meet_for_every_switch(layers, architecture):
    assert_roads_meet(layers, architecture)


def test_a_difference_between_the_roads_is_noticed(monkeypatch):
    right = closed_form.signals_of

    def forgetful(*arguments):
        signals = right(*arguments)
        return signals._replace(used=signals.used * (1 + 1e-8))

    monkeypatch.setattr(closed_form, "signals_of", forgetful)
    with pytest.raises(AssertionError):
        assert_roads_meet((3,))


@pytest.mark.parametrize("layers", [(3,), (4, 3, 2)])
def test_a_replica_does_not_depend_on_its_company(layers):
    net, x, h, state = problem(layers)
    together, signals = nvil_gradients(net, x, h, state, SWITCHES)
    for r, row in enumerate(ROWS):
        column = SignalState(state.mean[:, r, None], state.variance[:, r, None])
        bits = tuple(layer[r, None] for layer in h)
        alone, single = nvil_gradients(replica(net, r), x[r, None], bits, column, Ingredients(*row))
        for (_, a), (_, b) in zip(parameters(together), parameters(alone), strict=True):
            torch.testing.assert_close(a[r], b[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(signals.used[:, r], single.used[:, 0], rtol=0, atol=1e-12)


def test_a_diverged_replica_disturbs_no_other():
    net, x, h, state = problem((3, 2))
    healthy, _ = nvil_gradients(net, x, h, state, SWITCHES)
    net.generative[0].weight[4] = torch.nan
    sick, _ = nvil_gradients(net, x, h, state, SWITCHES)
    others = [r for r in range(len(ROWS)) if r != 4]
    for (_, a), (_, b) in zip(parameters(healthy), parameters(sick), strict=True):
        assert torch.equal(a[others], b[others])
    assert sick.recognition[0].weight[4].isnan().any()


class Whole(torch.nn.Module):
    """A module that gives its log-probability in one piece, [B]."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def log_prob(self, *arguments):
        return self.module.log_prob(*arguments).sum(0)


def test_one_piece_log_probabilities_give_the_global_signal():
    net, x, h, _ = problem((3,), replicas=1)
    model, inference, _ = as_modules(net)
    bits = (h[0][0],)
    loss, signals = nvil_loss(Whole(model), Whole(inference), x[0], bits, nvil.signal_state(1))
    loss.backward()
    torch.testing.assert_close(signals.raw, oracle.signals(net, x[0], bits), **EXACT)
    assert model.layers[0].weight.grad.abs().sum() > 0


def test_continuous_latents_need_nothing_more():
    """x ~ N(h + theta, 1), h ~ N(0, 1), Q(h | x) = N(m, 1): the expected gradients are known."""

    class Gauss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    class P(Gauss):
        def log_prob(self, x, h):
            return -0.5 * ((x - h - self.shift) ** 2 + h**2)

    class Q(Gauss):
        def log_prob(self, h, x):
            return -0.5 * (h - self.shift) ** 2

    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(8))
    weights = weights / weights.sum()  # quadrature: exact expectations under N(0, 1)
    p, q, x = P(), Q(), torch.tensor(1.5, dtype=torch.float64)
    state = nvil.signal_state(1, dtype=torch.float64)
    plain = Ingredients(False, False, False, False)
    gradient = 0.0
    for node, weight in zip(nodes, weights, strict=True):
        loss, _ = nvil_loss(p, q, x[None], node[None], state, ingredients=plain)
        gradient += weight * -torch.autograd.grad(loss, q.shift)[0]
    # L(m) = -((x - m)^2 + m^2)/2 + const, so L'(0) = x
    torch.testing.assert_close(gradient, x, **EXACT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": nvil.signal_state(3)}, r"signal state has shape \(3,\), expected \(2,\)"),
        ({"baselines": None, "ingredients": Ingredients()}, "give 2 baselines, one per layer, not 0"),
        (
            {"h": tuple(torch.ones(5, n, dtype=torch.float64, requires_grad=True) for n in (3, 2))},
            "h carries a gradient",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    net, x, h, _ = problem((3, 2), replicas=1)
    model, inference, baselines = as_modules(net)
    arguments = {"h": tuple(b[0] for b in h), "state": nvil.signal_state(2), "baselines": baselines} | change
    with pytest.raises(ValueError, match=message):
        nvil_loss(model, inference, x[0], arguments.pop("h"), arguments.pop("state"), **arguments)
