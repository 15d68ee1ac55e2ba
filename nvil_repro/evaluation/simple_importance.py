"""Simple importance sampling of log Z (Deep Learning, section 18.7): samples of the base, weighed.

From samples of a density p_0 whose Z_0 is known, w = p*(x) / p*_0(x) has the mean Z / Z_0. It is as good as the base
covers the model, which in many dimensions is not at all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import annealing_path, begin
from nvil_repro.evaluation.partition_estimate import PartitionEstimate, check_chains, of_weights
from nvil_repro.models.unnormalised import Family


class SimpleImportance(NamedTuple):
    """The estimate, and the logarithm of the variance of Z itself."""

    estimate: PartitionEstimate
    log_variance: Tensor  # [R], in nats


@torch.no_grad()
def simple_importance(
    family: Family, theta: Any, *, samples: int = 10_000, mean: Tensor | None = None, seed: int = 0
) -> SimpleImportance:
    """log Z by weighing samples of the family's base, near data of this mean [D] if it is given.

    Errors: as `annealing_path`, or `ValueError` for fewer than two samples.
    """
    check_chains(samples)
    path = annealing_path(family, theta, mean)
    log_weights = path.log_ratio(begin(path, samples, seed, "importance"), 0.0, 1.0).double()
    return SimpleImportance(
        of_weights("importance sampling", path.log_z, log_weights), log_variance(path.log_z, log_weights)
    )


def log_variance(log_z0: Tensor, log_weights: Tensor) -> Tensor:
    """log of Z_0^2 / K^2 sum_k (w_k - mean w)^2, how much the mean of K weights [R, K] varies: [R].

    Equation 18.46 prints sum_k (w_k - Z)^2, which is of that size only where Z_0 = 1.
    """
    samples, largest = log_weights.shape[-1], log_weights.amax(-1, keepdim=True)
    w = (log_weights.double() - largest).exp()
    spread = (w - w.mean(-1, keepdim=True)).square().sum(-1)
    return 2 * (log_z0 + largest[..., 0] - math.log(samples)) + spread.log()
