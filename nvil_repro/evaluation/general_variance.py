"""Gradient variance, as `gradient_variance` defines it, of any estimator of `learning.estimators`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nvil_repro.evaluation.gradient_variance import FROZEN, GradientVariance, divisor, variance_of
from nvil_repro.learning.estimators import Nets
from nvil_repro.learning.nvil import VARIANTS, SignalState, signal_state


def general_variance(
    nets: Nets,
    estimator: str,
    x: Tensor,
    state: SignalState,
    *,
    draws: int = 200,
    seed: int = 0,
    name: str = "gradient variance",
) -> GradientVariance:
    """Measure the inference network's gradient on the minibatch x [B, D] from `draws` samples of h; one row, [1, 1].

    Estimators measured with the same seed and name see the same noise; `state` [1] stays as it is.
    Errors: `ValueError` if there are fewer than three draws.
    """
    parameters = list(nets.inference.parameters())
    x = x.to(parameters[0])

    def gradients() -> Iterator[list[Tensor]]:
        for draw in range(draws):
            with torch.enable_grad():
                loss = nets(estimator, x, _noise(nets, x, seed, name, draw), state, FROZEN).loss
                found = torch.autograd.grad(loss, parameters)
            yield [torch.cat([-g.flatten() for g in found])[None]]

    column = SignalState(*(part[:, None] for part in state))
    scale = divisor(column, VARIANTS[estimator]) if estimator in VARIANTS else torch.ones(1, 1).double()
    return variance_of(gradients, draws, scale)


@torch.no_grad()
def settled_signals(nets: Nets, estimator: str, x: Tensor, *, draws: int = 50, seed: int = 0) -> SignalState:
    """The running mean and variance [1] that `draws` minibatches x [B, D] at fixed parameters lead to."""
    x = x.to(next(nets.parameters()))
    state = signal_state(1, dtype=x.dtype)
    for draw in range(draws):
        state = nets(estimator, x, _noise(nets, x, seed, "settled state", draw), state).state
    return state


def _noise(nets: Nets, x: Tensor, seed: int, name: str, draw: int) -> Tensor:
    return nets.inference.noise(seed, name, draw, (len(x), nets.inference.units), x.dtype)
