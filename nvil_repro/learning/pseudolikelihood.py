"""Pseudolikelihood (Besag 1975; Deep Learning 18.3): each bit's probability given all others, a sum over two states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nvil_repro.learning import cases
from nvil_repro.learning.flips import mean_over_flips
from nvil_repro.models.unnormalised import BITS, Family

MOST = 12  # units of a set, whose 2^12 settings are all evaluated


def pseudolikelihood(
    family: Family, theta: Any, x: Tensor, weights: Tensor | None = None, units: Tensor | None = None
) -> Tensor:
    """Mean over cases of sum_j log p(x_j | the others) (equation 18.20), in nats, to ascend: [R].

    Shapes, `units` (which visits some j alone) and errors: those of `flips.mean_over_flips`.
    """
    return mean_over_flips(logsigmoid, family, theta, x, weights, units)


def generalised_pseudolikelihood(
    family: Family, theta: Any, x: Tensor, sets: Sequence[Sequence[int]], weights: Tensor | None = None
) -> Tensor:
    """Mean over cases of sum_i log p(x_S(i) | the others) over sets S(i) of units (equation 18.21), in nats: [R].

    Every setting of a set is evaluated. D sets of one unit are the pseudolikelihood, one set of all D the likelihood.
    Errors: `ValueError` if the model's x are not bits, or for a set that is empty, too large, or names a unit twice or
    one that is not there.
    """
    if family.support != BITS:
        raise ValueError(
            f"{family.name} is a model of {family.support}, which cannot be enumerated: use score_matching"
        )
    here = family.log_unnormalised(theta, x)
    total = torch.zeros_like(here)
    for units in sets:
        total = total + here - _log_marginal(family, theta, x, _checked(units, x.shape[-1]))
    return cases.mean(total, weights)


def _log_marginal(family: Family, theta: Any, x: Tensor, units: list[int]) -> Tensor:
    """log of the sum of p* over every setting of the units, the others as in x: [R, B]."""
    settings = (torch.arange(2 ** len(units))[:, None] >> torch.arange(len(units))) & 1
    around = x[:, :, None].repeat(1, 1, len(settings), 1)
    around[..., units] = settings.to(x)
    log_p = family.log_unnormalised(theta, around.flatten(1, 2))
    return log_p.unflatten(1, (x.shape[1], len(settings))).logsumexp(-1)


def _checked(units: Sequence[int], visible: int) -> list[int]:
    found = sorted(set(units))
    if len(found) < len(units) or not 1 <= len(found) <= MOST or found[0] < 0 or found[-1] >= visible:
        raise ValueError(
            f"the set {list(units)}: expected 1 to {MOST} different units from 0 to {visible - 1}; "
            "split larger sets"
        )
    return found
