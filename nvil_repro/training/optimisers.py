"""Plain SGD (the paper's), momentum and Adam, ascending, in place, each replica at its own rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.models.belief_net import BeliefNet, parameters

MOMENTS = {"sgd": 0, "momentum": 1, "adam": 2}  # buffers an optimiser keeps per parameter


@dataclass(frozen=True)
class Optimiser:
    """Which rule, and its constants: v = decay v + g for momentum; Adam as Kingma & Ba 2015.

    With a `centre` c, weights that read hidden units h move as if they read h - c (Montavon & Mueller 2012): b' =
    b + c sum_k W_k takes the bias's place as a coordinate. Otherwise all of a layer's weights share a direction, that
    of its bias, and many units make its steps too large. The model stays as it is.
    Errors: `ValueError` for an unknown name, a decay outside [0, 1), an epsilon that is not positive or a centre
    outside [0, 1].
    """

    name: str = "sgd"
    decay: float = 0.9
    second_decay: float = 0.999
    epsilon: float = 1e-8
    centre: float = 0.0

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"Adam's epsilon must be above 0, got {self.epsilon}")
        if self.name not in MOMENTS:
            raise ValueError(f"unknown optimiser {self.name!r}; choose from {', '.join(MOMENTS)}")
        for value in (self.decay, self.second_decay):
            if not 0 <= value < 1:
                raise ValueError(f"an optimiser's decay must lie in [0, 1), got {value}")
        if not 0 <= self.centre <= 1:
            raise ValueError(f"hidden units are centred between 0 and 1, got {self.centre}")

    @property
    def constants(self) -> tuple[float, float, float, float]:
        """Decay, second decay, epsilon, centre."""
        return self.decay, self.second_decay, self.epsilon, self.centre


class Rates(NamedTuple):
    """Learning rates [R] that multiply sums over the minibatch, one set per replica."""

    model: Tensor
    inference: Tensor
    baseline: Tensor


def moments(net: BeliefNet, optimiser: Optimiser) -> tuple[tuple[Tensor, ...], ...]:
    """Zero buffers, in the order of `parameters(net)`: one tuple per moment the optimiser keeps."""
    return tuple(
        tuple(torch.zeros_like(p) for _, p in parameters(net)) for _ in range(MOMENTS[optimiser.name])
    )


@torch.no_grad()
def ascend(
    net: BeliefNet,
    gradients: BeliefNet,
    buffers: tuple[tuple[Tensor, ...], ...],
    optimiser: Optimiser,
    rates: Rates,
    update: int | Tensor,
) -> None:
    """Move `net` and `buffers` in place along `gradients`; `update`, from 0, serves Adam's bias correction and may be a
    0-dim tensor in double precision.
    """
    found, named = dict(parameters(gradients)), dict(parameters(net))
    for i, (name, parameter) in enumerate(named.items()):
        if name not in found:  # what the method does not train
            continue
        gradient, bias = found[name], bias_beside(name) if optimiser.centre else None
        if bias:
            gradient = gradient - optimiser.centre * found[bias][:, None]
            if name.endswith("lateral"):
                gradient = gradient.triu(1)
        rate: Tensor = getattr(rates, name.split("/")[0])
        rate = rate.view(-1, *[1] * (parameter.ndim - 1))
        step = rate * direction(gradient, [buffer[i] for buffer in buffers], optimiser, update)
        parameter.add_(step)
        if bias:
            named[bias].sub_(optimiser.centre * step.sum(-2))


def direction(
    gradient: Tensor, moments: Sequence[Tensor], optimiser: Optimiser, update: int | Tensor
) -> Tensor:
    """What the rule makes of a gradient and of its moments, which move in place."""
    if optimiser.name == "momentum":
        return moments[0].mul_(optimiser.decay).add_(gradient)
    if optimiser.name == "adam":
        first, second = moments
        first.lerp_(gradient, 1 - optimiser.decay)
        second.mul_(optimiser.second_decay).addcmul_(gradient, gradient, value=1 - optimiser.second_decay)
        corrected = second / (1 - optimiser.second_decay ** (update + 1))
        return first / (1 - optimiser.decay ** (update + 1)) / (corrected.sqrt() + optimiser.epsilon)
    return gradient


def bias_beside(name: str) -> str | None:
    """The bias of the units that a weight leads to, if it reads hidden units; by the names of `parameters`."""
    if name == "model/prior_lateral":
        return "model/prior"
    group, _, rest = name.partition("/")
    layer, _, part = rest.partition("/")
    hidden = {"weight": group == "model" or layer != "0", "lateral": group == "inference" or layer != "0"}
    if group == "baseline":
        hidden = {"hidden/weight": layer != "0"}
    return (
        f"{group}/{layer}/{part.replace('weight', 'bias').replace('lateral', 'bias')}"
        if hidden.get(part)
        else None
    )
