"""Steps against torch's own optimisers, and a centre against the net that reads h - c."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from nvil_repro.models.belief_net import BeliefNet, parameters, with_parameters
from nvil_repro.training.optimisers import Optimiser, Rates, ascend, bias_beside, moments
from tests import oracle

STEPS = 3
RATES = Rates(*(torch.tensor([rate], dtype=torch.float64) for rate in (0.1, 0.05, 0.02)))


def net() -> BeliefNet:
    return oracle.random_net((3, 2), architecture=oracle.FULL)


def gradients(like: BeliefNet) -> list[BeliefNet]:
    generator = torch.Generator().manual_seed(3)
    nets = []
    for _ in range(STEPS):
        named = [(n, torch.randn(p.shape, generator=generator, dtype=p.dtype)) for n, p in parameters(like)]
        nets.append(with_parameters(like, [g.triu(1) if n.endswith("lateral") else g for n, g in named]))
    return nets


def ours(optimiser: Optimiser) -> dict[str, Tensor]:
    trained = net()
    buffers = moments(trained, optimiser)
    for update, each in enumerate(gradients(trained)):
        ascend(trained, each, buffers, optimiser, RATES, update)
    return dict(parameters(trained))


def torchs(optimiser: Optimiser) -> dict[str, Tensor]:
    """The same in coordinates where the bias is the logit at h = c."""
    start, c = net(), optimiser.centre
    weights = {name: bias_beside(name) for name, _ in parameters(start) if bias_beside(name)}
    values = {name: p.clone() for name, p in parameters(start)}
    for name, bias in weights.items():
        values[bias] += c * values[name].sum(-2)
    rules = {
        "sgd": lambda p, lr: torch.optim.SGD([p], lr, maximize=True),
        "momentum": lambda p, lr: torch.optim.SGD([p], lr, momentum=optimiser.decay, maximize=True),
        "adam": lambda p, lr: torch.optim.Adam([p], lr, eps=optimiser.epsilon, maximize=True),
    }
    rates = {group: getattr(RATES, group).item() for group in Rates._fields}
    rule = {n: rules[optimiser.name](p, rates[n.split("/")[0]]) for n, p in values.items()}
    for each in gradients(start):
        found = dict(parameters(each))
        for name, value in values.items():
            value.grad = found[name].clone()
            if name in weights:
                value.grad -= c * found[weights[name]][:, None]
                value.grad = value.grad.triu(1) if name.endswith("lateral") else value.grad
            rule[name].step()
    for name, bias in weights.items():
        values[bias] -= c * values[name].sum(-2)
    return values


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.allclose(a[name], b[name], rtol=0, atol=1e-12) for name in a)


@pytest.mark.parametrize("centre", [0.0, 0.5, 0.2])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_steps_are_torchs_in_centred_coordinates(name: str, centre: float) -> None:
    optimiser = Optimiser(name, centre=centre)
    assert same(ours(optimiser), torchs(optimiser))
    assert not same(ours(optimiser), ours(Optimiser(name, centre=centre + 0.1)))  # control


def test_what_reads_hidden_units() -> None:
    found = {name: bias_beside(name) for name, _ in parameters(net())}
    assert {name: bias for name, bias in found.items() if bias} == {
        "model/prior_lateral": "model/prior",
        "model/0/weight": "model/0/bias",
        "model/1/weight": "model/1/bias",
        "inference/0/lateral": "inference/0/bias",
        "inference/1/weight": "inference/1/bias",
        "inference/1/lateral": "inference/1/bias",
        "baseline/1/hidden/weight": "baseline/1/hidden/bias",
    }
    pixels: Sequence[str] = ("model/0/lateral", "inference/0/weight", "baseline/0/hidden/weight")
    assert set(pixels) <= found.keys()


@pytest.mark.parametrize("bad", [{"name": "sgdm"}, {"decay": 1.0}, {"epsilon": 0.0}, {"centre": 1.5}])
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        Optimiser(**bad)  # type: ignore[arg-type]
