"""Bridge sampling of log Z (Bennett 1976; Meng & Wong 1996): samples of two densities, weighed against each other.

From n_0 samples of p_0 and n_1 of p_1, the estimate of r = Z_1 / Z_0 that varies least bridges them by the density
p*_0 p*_1 / (n_0 r p*_0 + n_1 p*_1), for which r has to be known: Meng & Wong iterate

    r <- n_1 / n_0  sum_{x of p_0} l / (n_1 l + n_0 r)  /  sum_{x of p_1} 1 / (n_1 l + n_0 r),    l = p*_1(x) / p*_0(x).

Where that stays, the sum over p_0's samples of a = sigma(log l + log(n_1 / n_0) - log r) is that over p_1's of 1 - a;
the one falls in r and the other rises, so that bisection finds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.evaluation.ladders import checked_ladder
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.models.unnormalised import Family

HALVINGS = 100


class Bridge(NamedTuple):
    """log(Z_1 / Z_0) and how sure it is, were all samples independent; float64."""

    log_ratio: Tensor  # [...], in nats
    variance: Tensor  # [...], of log_ratio (Bennett 1976, equation 10), in squared nats
    ess: Tensor  # [...], between 0 and n_0 + n_1, which it is where the densities agree
    pulls: tuple[Tensor, Tensor]  # what each sample of p_0 [..., n_0] and of p_1 [..., n_1] adds to log_ratio


def optimal_bridge(first: Tensor, second: Tensor) -> Bridge:
    """From log p*_1 - log p*_0 of samples of p_0 [..., n_0] and of p_1 [..., n_1].

    Errors: `ValueError` without samples of either, or for a log ratio that is not finite.
    """
    first, second = first.double(), second.double()
    n0, n1 = first.shape[-1], second.shape[-1]
    if not n0 or not n1:
        raise ValueError(f"{n0} samples of one density and {n1} of the other: expected some of each")
    if not bool(first.isfinite().all() and second.isfinite().all()):
        raise ValueError("a log ratio is not finite: are all parameters finite?")
    both, offset = torch.cat([first, second], -1), math.log(n1 / n0)
    low, high = both.amin(-1), both.amax(-1)
    for _ in range(HALVINGS):
        middle = low.lerp(high, 0.5)
        below = _surplus(first, second, offset - middle) > 0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    log_ratio = low.lerp(high, 0.5)
    a, b = (torch.sigmoid(part + (offset - log_ratio)[..., None]) for part in (first, second))
    information = (a * (1 - a)).sum(-1) + (b * (1 - b)).sum(-1)
    variance = (1 / information - 1 / n0 - 1 / n1).clamp_min(0)
    pulls = (a / information[..., None], (b - 1) / information[..., None])
    return Bridge(log_ratio, variance, information * (n0 + n1) ** 2 / (n0 * n1), pulls)


@torch.no_grad()
def bridge(
    family: Family, theta: Any, samples: Tensor, *, mean: Tensor | None = None, seed: int = 0
) -> PartitionEstimate:
    """log Z from independent samples x [R or 1, C, D] of the model (see `target_samples`) and as many of the base.

    Errors: as `annealing_path`.
    """
    path = annealing_path(family, theta, mean)
    ends = begin(path, samples.shape[1], seed, "bridge"), path.enter(samples)
    found = optimal_bridge(*(path.log_ratio(state, 0.0, 1.0) for state in ends))
    return of_bridge("bridge", path.log_z + found.log_ratio, found.variance, found.ess)


@torch.no_grad()
def ladder_bridge(
    family: Family,
    theta: Any,
    *,
    ladder: Sequence[float],
    chains: int = 100,
    sweeps: int = 1,
    mean: Tensor | None = None,
    seed: int = 0,
) -> PartitionEstimate:
    """log Z by an optimal bridge from each rung of the ladder to the next, between chains that rise from the base by
    `sweeps` steps a rung.

    Unlike AIS it takes the chains for samples of their rungs: it is unbiased only so far as they keep up. As one chain
    meets every bridge, the variance is that between chains, or the bridges' own if that is larger; `ess` is that of the
    weakest bridge.
    Errors: as `partition.ais`, or `ValueError` if `sweeps` is not positive.
    """
    if sweeps < 1 or chains < 2:
        raise ValueError(f"sweeps={sweeps}, chains={chains}: expected at least 1 and 2")
    path, rungs, firsts, seconds = annealing_path(family, theta, mean), checked_ladder(ladder), [], []
    state = begin(path, chains, seed, "ladder bridge")
    for k, (low, high) in enumerate(pairwise(rungs)):
        firsts.append(path.log_ratio(state, low, high))
        for n in range(1, sweeps + 1):
            state = path.step(state, high, draws(path, chains, seed, "ladder bridge", k * sweeps + n))
        seconds.append(path.log_ratio(state, low, high))
    found = optimal_bridge(torch.stack(firsts), torch.stack(seconds))
    pull = (found.pulls[0] + found.pulls[1]).sum(0)
    variance = torch.maximum(pull.var(-1) * chains, found.variance.sum(0))
    return of_bridge("ladder bridge", path.log_z + found.log_ratio.sum(0), variance, found.ess.amin(0))


def of_bridge(method: str, log_z: Tensor, variance: Tensor, ess: Tensor) -> PartitionEstimate:
    """An estimate of this variance, with the interval of 3 standard errors of log Z either way."""
    error = 3 * variance.sqrt()
    return PartitionEstimate(method, log_z, log_z - error, log_z + error, ess)


def _surplus(first: Tensor, second: Tensor, shift: Tensor) -> Tensor:
    """How much the sum over p_0's samples exceeds that over p_1's."""
    here, there = (
        torch.sigmoid(sign * (part + shift[..., None])).sum(-1) for sign, part in ((1, first), (-1, second))
    )
    return here - there
