"""Annealed importance sampling (Neal 2001) of normalising constants, for any ladder of unnormalised densities.

f_0, whose Z_0 is known, turns into f_K, whose Z_K is wanted: a chain begins with a sample of f_0, collects
w *= f_k(s) / f_{k-1}(s) at each rung k and then takes a step that leaves f_k as it is. E[w] = Z_K / Z_0 exactly,
however few the rungs, and the log of a mean of w lies below its own in expectation. Down the ladder, from samples of
f_K, the same gives Z_0 / Z_K and so an estimate from above: together they bracket log Z_K (Grosse, Ghahramani & Adams
2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class NotFiniteError(ValueError):
    """A log weight is NaN, which parameters do that are not finite, or too large."""


class AnnealedEstimate(NamedTuple):
    """log Z in nats, float64, from C chains a piece.

    `lower` and `upper` are the logarithms of mean +- 3 standard errors of the weights, as Salakhutdinov & Murray (2008)
    give them: `lower` is -inf where the weights leave it open (`upper` inf, going down).
    `effective_samples` = (sum w)^2 / sum w^2; where few are effective, believe neither.
    """

    log_z: Tensor  # [...]
    lower: Tensor  # [...]
    upper: Tensor  # [...]
    effective_samples: Tensor  # [...], between 1 and C


def annealed_log_weights(
    ladder: Sequence[float],
    state: State,
    log_ratio: Callable[[State, float, float], Tensor],
    transition: Callable[[State, float, int], State],
    *,
    end: float = 1.0,
) -> tuple[Tensor, State]:
    """log w of every chain at every rung, float64 [K, ...] for a ladder of K rungs, and the chains at the end.

    The ladder rises from 0 to `end`, or falls from `end` to 0; `state` holds samples of its first rung.
    log_ratio(state, a, b) is log f_b - log f_a of each chain; transition(state, b, k), for rung k, leaves f_b as it is.
    Errors: `ValueError` for a ladder that is none; `NotFiniteError` for a log ratio of NaN, with the rung.
    """
    _check_ladder(ladder, end)
    total, rows = torch.zeros((), dtype=torch.float64), []
    for k in range(1, len(ladder)):
        total = total + log_ratio(state, ladder[k - 1], ladder[k]).double()
        if bool(total.isnan().any()):
            raise NotFiniteError(
                f"the log ratio at rung {k}, {ladder[k]}, is NaN: are all parameters finite?"
            )
        rows.append(total)
        if k + 1 < len(ladder):
            state = transition(state, ladder[k], k)
    return torch.stack([torch.zeros_like(total), *rows]), state


def estimate(log_z0: Tensor | float, log_weights: Tensor, *, falling: bool = False) -> AnnealedEstimate:
    """log Z from that of the known end and the log weights [..., C] of C chains, up the ladder or down it (`falling`).

    Errors: `ValueError` for fewer than two chains; `NotFiniteError` for a weight of NaN.
    """
    chains = log_weights.shape[-1]
    if chains < 2:
        raise ValueError(f"{chains} chain: expected at least 2, or there is no interval")
    if bool(log_weights.isnan().any()):
        raise NotFiniteError("a log weight is NaN: are all parameters finite?")
    largest = log_weights.amax(-1, keepdim=True)
    w = (log_weights.double() - largest).exp()
    log_mean = largest[..., 0] + w.mean(-1).log()
    spread = 3 * w.std(-1) / w.mean(-1) / math.sqrt(chains)
    low, high = log_mean + torch.log1p(-spread.clamp_max(1)), log_mean + torch.log1p(spread)
    effective = w.sum(-1).square() / w.square().sum(-1)
    if falling:
        return AnnealedEstimate(log_z0 - log_mean, log_z0 - high, log_z0 - low, effective)
    return AnnealedEstimate(log_z0 + log_mean, log_z0 + low, log_z0 + high, effective)


def _check_ladder(ladder: Sequence[float], end: float) -> None:
    rising = list(ladder) if list(ladder[:1]) == [0] else list(ladder)[::-1]
    if len(rising) < 2 or (rising[0], rising[-1]) != (0, end) or not all(a < b for a, b in pairwise(rising)):
        shown = ", ".join(str(rung) for rung in ladder) if len(ladder) < 8 else f"{len(ladder)} rungs"
        raise ValueError(
            f"ladder of {shown}: expected rungs that rise from 0 to {end} or fall from {end} to 0, each once"
        )
