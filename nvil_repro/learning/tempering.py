"""Parallel tempering (Swendsen & Wang 1986; for RBMs Desjardins et al. 2010): chains that trade places.

M models lead from the family's base, where every step is a fresh sample, to the model itself. Each has C chains, which
take Gibbs steps and then trade states with their neighbours by Metropolis's rule, so that states made where mixing is
easy reach the model, and together all keep prod_m p_m as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nvil_repro.learning.markov_chains import sampler
from nvil_repro.models.unnormalised import Family, between


def rungs(family: Family, theta: Any, count: int, mean: Tensor | None = None) -> list[Any]:
    """`count` models at even steps of `between` from the base, for data of this mean [D], to theta, the last.

    Errors: `ValueError` for fewer than two, or a family without a base.
    """
    if count < 2:
        raise ValueError(f"{count} temperature: expected at least 2, or nothing is traded")
    if family.base is None:
        raise ValueError(f"{family.name} has no base to temper towards: give the family a `base`")
    begin = family.base(theta, mean).theta
    return [between(begin, theta, m / (count - 1)) for m in range(count)]


def temper(
    family: Family, models: Sequence[Any], states: Tensor, draws: Iterable[tuple[Tensor, Tensor]]
) -> Tensor:
    """States [R, M, C, D], of `models` one by one, after a Gibbs step of each and a round of trades for each draw:
    uniforms [M, C, K] and [M - 1, C].

    Errors: `ValueError` if the family has no Gibbs step.
    """
    gibbs, _ = sampler(family)
    for u, trades in draws:
        moved = [gibbs(model, states[:, m], u[None, m]) for m, model in enumerate(models)]
        states = swap(family, models, torch.stack(moved, 1), trades)
    return states


@torch.no_grad()
def swap(family: Family, models: Sequence[Any], states: Tensor, uniforms: Tensor) -> Tensor:
    """States [R, M, C, D] after trades between neighbours m, m + 1, even m first and then odd, by uniforms [M - 1, C].

    A pair trades with probability min(1, p*_m(x_{m+1}) p*_{m+1}(x_m) / (p*_m(x_m) p*_{m+1}(x_{m+1}))); Z's cancel.
    """
    states = states.clone()
    for m in (*range(0, len(models) - 1, 2), *range(1, len(models) - 1, 2)):
        low, high = states[:, m], states[:, m + 1]
        trade = (uniforms[m].log() < log_swap_ratio(family, models[m], models[m + 1], low, high))[..., None]
        states[:, m], states[:, m + 1] = torch.where(trade, high, low), torch.where(trade, low, high)
    return states


def log_swap_ratio(family: Family, lower: Any, upper: Any, low: Tensor, high: Tensor) -> Tensor:
    """log of how much likelier x = `low` of model `lower` and x' = `high` of `upper` are once traded: [R, C]."""
    levels = [family.log_unnormalised(theta, x) for theta in (lower, upper) for x in (low, high)]
    return levels[1] + levels[2] - levels[0] - levels[3]
