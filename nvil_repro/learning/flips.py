"""Criteria for bits that compare a case with its neighbours: sums over j of a function of log p(x) / p(flip_j x).

Z cancels in each ratio. What differs is the function: see pseudolikelihood, ratio_matching, minimum_probability_flow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nvil_repro.learning import cases
from nvil_repro.models.unnormalised import Family


def mean_over_flips(
    term: Callable[[Tensor], Tensor],
    family: Family,
    theta: Any,
    x: Tensor,
    weights: Tensor | None = None,
    units: Tensor | None = None,
) -> Tensor:
    """The mean over cases x [R or 1, B, D] of sum_j term(log p(x) - log p(x with bit j flipped)): [R].

    `weights` [R or 1, B], summing to one, take the place of 1/B. With `units` (int64, [K], or [B, K] if each case has
    its own, see `draw_units`) the sum is over these bits times D/K: unbiased where each is as likely.
    Errors: `ValueError` if the model's x are not bits.
    """
    if family.log_ratios is None:
        raise ValueError(
            f"{family.name} is a model of {family.support}, which have no bits to flip: use score_matching"
        )
    terms = term(family.log_ratios(theta, x, units))
    return cases.mean(terms.sum(-1) * (x.shape[-1] / terms.shape[-1]), weights)


def draw_units(uniforms: Tensor, count: int) -> Tensor:
    """`count` of D different units, each as likely, for every case by its uniforms [B, D]: [B, count], int64.

    Cases of their own units cover many more, so that the sum is noisy no longer by which they are.
    Errors: `ValueError` if there are not as many.
    """
    if not 1 <= count <= uniforms.shape[-1]:
        raise ValueError(f"count={count}: expected 1 to {uniforms.shape[-1]} units, as many as a case has")
    return uniforms.topk(count, largest=False).indices
