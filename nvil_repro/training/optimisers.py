"""Plain SGD (the paper's), momentum and Adam, ascending, in place, each replica at its own rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.models.belief_net import BeliefNet, parameters

MOMENTS = {"sgd": 0, "momentum": 1, "adam": 2}  # buffers an optimiser keeps per parameter


@dataclass(frozen=True)
class Optimiser:
    """Which rule, and its constants: v = decay v + g for momentum; Adam as Kingma & Ba 2015.

    Errors: `ValueError` for an unknown name, a decay outside [0, 1) or an epsilon that is not positive.
    """

    name: str = "sgd"
    decay: float = 0.9
    second_decay: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"Adam's epsilon must be above 0, got {self.epsilon}")
        if self.name not in MOMENTS:
            raise ValueError(f"unknown optimiser {self.name!r}; choose from {', '.join(MOMENTS)}")
        for value in (self.decay, self.second_decay):
            if not 0 <= value < 1:
                raise ValueError(f"an optimiser's decay must lie in [0, 1), got {value}")


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
    update: int,
) -> None:
    """Move `net` and `buffers` in place along `gradients`; `update`, from 0, serves Adam's bias correction."""
    found = dict(parameters(gradients))
    for i, (name, parameter) in enumerate(parameters(net)):
        if name not in found:  # what the method does not train
            continue
        gradient = found[name]
        rate: Tensor = getattr(rates, name.split("/")[0])
        rate = rate.view(-1, *[1] * (parameter.ndim - 1))
        if optimiser.name == "momentum":
            gradient = buffers[0][i].mul_(optimiser.decay).add_(gradient)
        elif optimiser.name == "adam":
            first, second = buffers[0][i], buffers[1][i]
            first.lerp_(gradient, 1 - optimiser.decay)
            second.mul_(optimiser.second_decay).addcmul_(gradient, gradient, value=1 - optimiser.second_decay)
            corrected = second / (1 - optimiser.second_decay ** (update + 1))
            gradient = first / (1 - optimiser.decay ** (update + 1)) / (corrected.sqrt() + optimiser.epsilon)
        parameter.add_(rate * gradient)
