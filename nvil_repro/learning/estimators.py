"""Estimators for a model and an inference network given as modules, by name: all that differs between two runs.

Those of `nvil.VARIANTS` ask for samples and log-probabilities, whatever the latent variables; `pathwise` and
`pathwise_kl` ask that the samples be differentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from nvil_repro.learning.general import nvil_loss
from nvil_repro.learning.nvil import ALPHA, VARIANTS, SignalState
from nvil_repro.learning.reparameterisation import pathwise_kl_loss, pathwise_loss

Loss = Callable[[Any, Any, Tensor, Tensor], tuple[Tensor, Tensor]]  # model, inference, x, noise
PATHWISE: dict[str, Loss] = {"pathwise": pathwise_loss, "pathwise_kl": pathwise_kl_loss}
ESTIMATORS = (*VARIANTS, *PATHWISE)


class Outcome(NamedTuple):
    """What an estimator makes of a minibatch: a scalar to descend, the bound of every case [B], the running state."""

    loss: Tensor
    bound: Tensor
    state: SignalState


class Nets(nn.Module):
    """A model, its inference network, and a baseline for each of its layers; called, an estimator's loss.

    `inference.sample(x, noise)` makes h of noise [B, inference.units] from the stream `inference.noise`.
    """

    def __init__(self, model: nn.Module, inference: nn.Module, baselines: Sequence[nn.Module]) -> None:
        super().__init__()
        self.model: Any = model
        self.inference: Any = inference
        self.baselines = nn.ModuleList(baselines)

    def forward(
        self, estimator: str, x: Tensor, noise: Tensor, state: SignalState, alpha: float = ALPHA
    ) -> Outcome:
        """Gradients of the loss are those of the sum over the minibatch x [B, D]; `state` [L] is NVIL's alone.

        Errors: `ValueError` naming an unknown estimator, or latent variables the reparameterisation does not have.
        """
        if estimator in VARIANTS:
            ingredients, h = VARIANTS[estimator], self.inference.sample(x, noise)
            baselines = list(self.baselines) if ingredients.input_baseline else None
            loss, signals = nvil_loss(
                self.model,
                self.inference,
                x,
                h,
                state,
                baselines=baselines,
                ingredients=ingredients,
                alpha=alpha,
            )
            return Outcome(loss, signals.raw[0], signals.state)
        if estimator not in PATHWISE:
            raise ValueError(f"unknown estimator {estimator!r}; choose from {', '.join(ESTIMATORS)}")
        if not hasattr(self.inference, "transform"):
            kind = type(self.inference).__name__
            raise ValueError(
                f"{kind} has no `transform`: its samples are not differentiable, choose from {', '.join(VARIANTS)}"
            )
        loss, bound = PATHWISE[estimator](self.model, self.inference, x, noise)
        return Outcome(loss, bound, state)
