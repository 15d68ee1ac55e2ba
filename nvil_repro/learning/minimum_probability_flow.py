"""Minimum probability flow (Sohl-Dickstein, Battaglino & DeWeese 2011) to states one bit away."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nvil_repro.learning.flips import mean_over_flips
from nvil_repro.models.unnormalised import Family


def minimum_probability_flow(
    family: Family, theta: Any, x: Tensor, weights: Tensor | None = None, units: Tensor | None = None
) -> Tensor:
    """Minus the mean over cases of sum_j exp(-(log p*(x) - log p*(flip_j x)) / 2), to ascend: [R].

    The rate at which probability begins to leave the data under dynamics that lead to the model. Flow to neighbours
    that are data themselves counts too: what the authors leave out of it has no effect at the model's own
    distribution. Shapes, `units` (which visits some j alone) and errors: those of `flips.mean_over_flips`.
    """
    return mean_over_flips(lambda ratios: -torch.exp(-ratios / 2), family, theta, x, weights, units)
