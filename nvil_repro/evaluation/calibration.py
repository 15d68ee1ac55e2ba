"""How often intervals for log Z hold it: seeded trials of an estimator on models small enough to enumerate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.models.unnormalised import Family

Estimator = Callable[[Family, Any, int], PartitionEstimate]  # the last is the seed


class Coverage(NamedTuple):
    """Of how many trials the interval held the exact log Z, and the Wilson 95% interval of that share.

    `bias` and `spread` are mean and standard deviation of the error of log Z, `width` the median width, in nats; `ess`
    is the median too.
    """

    method: str
    replica: int
    trials: int
    covered: int
    lower: float
    upper: float
    bias: float
    spread: float
    width: float
    ess: float


def coverage(
    family: Family, theta: Any, estimator: Estimator, trials: int, exact_log_z: Tensor, *, first_seed: int = 0
) -> list[Coverage]:
    """A row for each replica of theta, whose exact log Z [R] is given, by trials of seeds from `first_seed`.

    An interval also holds what lies outside it by less than 1e-9 nats, so that an estimate without error is right.
    Errors: `ValueError` for fewer than two trials.
    """
    if trials < 2:
        raise ValueError(f"trials={trials}: expected at least 2")
    found = [estimator(family, theta, seed) for seed in range(first_seed, first_seed + trials)]
    log_z, low, high, ess = (torch.stack(column) for column in list(zip(*found, strict=True))[1:])
    error = log_z - exact_log_z
    held = ((low <= exact_log_z + 1e-9) & (exact_log_z <= high + 1e-9)).sum(0).tolist()
    columns = (error.mean(0), error.std(0), (high - low).median(0).values, ess.median(0).values)
    rows = zip(held, *(column.tolist() for column in columns), strict=True)
    return [
        Coverage(found[0].method, r, trials, count, *wilson(count, trials), *rest)
        for r, (count, *rest) in enumerate(rows)
    ]


def wilson(count: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share of which `count` of `trials` are seen, 95% by default."""
    share, slack = count / trials, z * z / trials
    centre = (share + slack / 2) / (1 + slack)
    reach = z * math.sqrt(share * (1 - share) / trials + slack / (4 * trials)) / (1 + slack)
    return max(0.0, centre - reach), min(1.0, centre + reach)
