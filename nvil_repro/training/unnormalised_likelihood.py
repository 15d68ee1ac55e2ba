"""log Z while a model trains, often and therefore cheaply: exact for small ones, by a short annealing for others."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.annealed_importance import NotFiniteError
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.partition import ais
from nvil_repro.models.unnormalised import BITS, Family
from nvil_repro.training.method import Estimate
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings

CASES = 1 << 10  # held at a time


class LogZ(NamedTuple):
    """log Z in nats and its standard error, float64 [R]."""

    value: Tensor
    stderr: Tensor


def enumerable(family: Family, theta: Any, units: int) -> bool:
    """Whether one side of the model has at most `units` bits."""
    visible = [family.visible(theta)] if family.support == BITS else []
    hidden = [family.hidden.units(theta)] if family.hidden else []
    return min(visible + hidden, default=units + 1) <= units


def has_log_z(family: Family, theta: Any, units: int) -> bool:
    """Whether log Z can be estimated at all: the model is enumerable, or can be annealed."""
    return enumerable(family, theta, units) or (family.base is not None and family.gibbs is not None)


@torch.no_grad()
def log_partition(family: Family, theta: Any, mean: Tensor, settings: UnnormalisedSettings) -> LogZ:
    """log Z exact, or annealed from the base for data of this mean [D]; NaN of a model that has diverged.

    Uniforms are the same whenever it is asked. Errors: `ValueError` if it can be neither enumerated nor annealed.
    """
    nothing = LogZ(*torch.full((2, len(theta[0])), math.nan, dtype=torch.float64))
    if not all(bool(part.isfinite().all()) for part in theta):
        return nothing
    if enumerable(family, theta, settings.exact_units):
        exact = exact_log_partition(family, theta)
        return LogZ(exact, torch.zeros_like(exact))
    ladder = uniform_ladder(settings.rungs)
    try:
        found = ais(family, theta, ladder=ladder, chains=settings.annealed_chains, mean=mean)
    except NotFiniteError:  # parameters on their way to infinity
        return nothing
    return LogZ(found.log_z, (found.log_z - found.lower) / 3)


@torch.no_grad()
def log_likelihood(family: Family, theta: Any, x: Tensor, log_z: LogZ) -> Estimate:
    """The mean of log p over cases [N, D], in nats; its standard error is log Z's."""
    dtype = theta[0].dtype
    levels = [family.log_unnormalised(theta, part[None].to(dtype)).double() for part in x.split(CASES)]
    return Estimate(torch.cat(levels, -1).mean(-1) - log_z.value, log_z.stderr, len(x))
