"""Ladders: the inverse temperatures b_0 = 0 < ... < b_K = 1 through which a family is annealed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nvil_repro.evaluation.annealed_importance import annealed_log_weights
from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.models.unnormalised import Family

LADDERS = ("uniform", "sm2008", "adaptive")
LEVEL = 0.05  # of the adaptive ladder, the share that is spread evenly, so that no rung's gap rests on the pilot alone


def uniform_ladder(rungs: int) -> list[float]:
    """`rungs` values at even steps from 0 to 1. Errors: `ValueError` for fewer than two."""
    if rungs < 2:
        raise ValueError(f"rungs={rungs}: expected at least 2, 0 and 1")
    return [k / (rungs - 1) for k in range(rungs)]


def salakhutdinov_murray_ladder() -> list[float]:
    """The 14,501 values of Salakhutdinov & Murray (2008): 0:0.001:0.5, 0.5:0.0001:0.9, 0.9:0.00001:1."""
    hundred_thousandths = (*range(0, 50_000, 100), *range(50_000, 90_000, 10), *range(90_000, 100_001))
    return [n / 100_000 for n in hundred_thousandths]


@torch.no_grad()
def adaptive_ladder(
    family: Family,
    theta: Any,
    rungs: int,
    *,
    pilot: Sequence[float] | None = None,
    chains: int = 100,
    mean: Tensor | None = None,
    seed: int = 0,
) -> list[float]:
    """`rungs` values such that log f_{k+1} - log f_k varies alike over the chains at every rung, R = 1.

    Where the chains keep up, that standard deviation is the length of the path from rung to rung, and equal lengths
    make the least of the sum of divergences (Grosse, Maddison & Salakhutdinov 2013). It is measured by chains of their
    own on the `pilot` ladder, by default 300 even steps, whose numbers no estimate shares.
    Errors: `ValueError` for R > 1, fewer than two rungs or chains, a pilot that is no ladder; as `annealing_path`.
    """
    if len(theta[0]) > 1:
        raise ValueError(
            f"a ladder adapts to one model, and there are {len(theta[0])}: give trees.view(theta, r)"
        )
    if rungs < 2 or chains < 2:
        raise ValueError(f"rungs={rungs}, chains={chains}: expected at least 2 of each")
    path, coarse = annealing_path(family, theta, mean), checked_ladder(pilot or uniform_ladder(301))
    log_weights, _ = annealed_log_weights(
        coarse,
        begin(path, chains, seed, "pilot"),
        path.log_ratio,
        lambda state, b, k: path.step(state, b, draws(path, chains, seed, "pilot", k)),
    )
    spread = log_weights.diff(dim=0).std(-1)[:, 0].numpy()
    even = np.diff(coarse) * (spread.sum() or 1.0)
    length = np.concatenate([[0.0], np.cumsum((1 - LEVEL) * spread + LEVEL * even)])
    inner = np.interp(np.linspace(0, length[-1], rungs)[1:-1], length, coarse)
    return checked_ladder([0.0, *inner.tolist(), 1.0])


def named_ladder(
    name: str,
    family: Family,
    theta: Any,
    rungs: int,
    *,
    chains: int = 100,
    mean: Tensor | None = None,
    seed: int = 0,
) -> list[float]:
    """The ladder of `LADDERS` by its name; "sm2008" brings its own number of rungs.

    Errors: `ValueError` for another name; those of the ladder.
    """
    if name == "uniform":
        return uniform_ladder(rungs)
    if name == "sm2008":
        return salakhutdinov_murray_ladder()
    if name == "adaptive":
        return adaptive_ladder(family, theta, rungs, chains=chains, mean=mean, seed=seed)
    raise ValueError(f'unknown ladder "{name}"; expected one of {", ".join(LADDERS)}')


def checked_ladder(ladder: Sequence[float]) -> list[float]:
    """The ladder as a list. Errors: `ValueError` if it does not rise from 0 to 1, naming where."""
    rungs = [float(b) for b in ladder]
    if len(rungs) < 2 or rungs[0] != 0 or rungs[-1] != 1:
        ends = f"from {rungs[0]} to {rungs[-1]}" if rungs else "nowhere"
        raise ValueError(f"the ladder runs {ends}: expected at least two inverse temperatures from 0 to 1")
    for k, (low, high) in enumerate(pairwise(rungs)):
        if not low < high or math.isnan(high):
            raise ValueError(
                f"the ladder goes from {low} to {high} at rung {k + 1}: expected every rung above the last"
            )
    return rungs
