"""What every estimate of log Z promises, whatever the method."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation import annealed_importance

SURE = math.log(1000)  # nats: a mean of weights exceeds its own a thousandfold once in 1000 times at most


class PartitionEstimate(NamedTuple):
    """log Z of R models in nats, float64, with an interval of 3 standard errors as the samples themselves tell them.

    It holds log Z as often as that promises where samples are independent, from the base and up or exact ones of the
    model, and many are effective. With few it misses far more often: annealing with 9 of 100 effective does one time in
    four (notebook 08). Gibbs samples, ladder bridges and tracking take chains for samples; how far those are off, no
    interval knows.
    `ess`, effective samples: how many independent samples with equal weights would be worth as much.
    """

    method: str
    log_z: Tensor  # [R]
    lower: Tensor  # [R]
    upper: Tensor  # [R]
    ess: Tensor  # [R]


def check_chains(chains: int) -> None:
    """Errors: `ValueError` for fewer than two, before anything is made of them."""
    if chains < 2:
        raise ValueError(f"{chains} chain: expected at least 2, or there is no interval")


def relative_sd(ess: float, samples: float) -> float:
    """Of Z by a mean of weights, relative to it: sqrt(sum_k (w_k - mean w)^2) / sum_k w_k.

    Of its variance equation 18.46 prints Z_0 where Z_0^2 stands, and Z for mean w; that agrees only where Z_0 = 1.
    """
    return math.sqrt(max(0.0, 1 / ess - 1 / samples))


def of_weights(
    method: str, log_z0: Tensor, log_weights: Tensor, *, falling: bool = False
) -> PartitionEstimate:
    """log Z from weights [R, S] of mean Z / Z_0, or of mean Z_0 / Z (`falling`), S samples each.

    The interval is that of `annealed_importance.estimate`, mean +- 3 standard errors, but for the end towards which few
    weights leave it open: that one is never further than `SURE`, by Markov's inequality, which speaks of falling chains
    only where they fall from exact samples of the model.
    Errors: `ValueError` for fewer than two samples or a weight of NaN.
    """
    found = annealed_importance.estimate(log_z0, log_weights, falling=falling)
    lower, upper = found.lower, found.upper
    if falling:
        upper = torch.minimum(upper, found.log_z + SURE)
    else:
        lower = torch.maximum(lower, found.log_z - SURE)
    return PartitionEstimate(method, found.log_z, lower, upper, found.effective_samples)
