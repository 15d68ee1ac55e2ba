"""Ratio matching (Hyvarinen 2007; Deep Learning 18.4): score matching's counterpart for bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nvil_repro.learning.flips import mean_over_flips
from nvil_repro.models.unnormalised import Family


def ratio_matching(
    family: Family, theta: Any, x: Tensor, weights: Tensor | None = None, units: Tensor | None = None
) -> Tensor:
    """Minus the mean over cases of sum_j (1 / (1 + p(x) / p(flip_j x)))^2 (equation 18.26), to ascend: [R].

    The term is the squared probability, given the other bits, of what x_j is not. Shapes, `units` (which visits some j
    alone) and errors: those of `flips.mean_over_flips`.
    """
    return mean_over_flips(lambda ratios: -torch.sigmoid(-ratios).square(), family, theta, x, weights, units)
