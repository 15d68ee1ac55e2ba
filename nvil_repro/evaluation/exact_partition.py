"""Exact log Z of models known up to it, by a sum over every state of their visible or hidden units.

Of the two sides that a family has, the smaller is enumerated: Z = sum_x p*(x) = sum_h p*(h), in float64 whatever theta
is in, one replica and one chunk of states at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from nvil_repro.evaluation.exact import CHUNK, LIMIT, enumerate_bits
from nvil_repro.models.arrays import bits
from nvil_repro.models.unnormalised import BITS, Family, autograd_gradient, check_finite, like

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])


class Side(NamedTuple):
    """Units whose states can be summed over: log p* of a state and its gradient, as `Family` has them."""

    name: str
    units: int
    log_unnormalised: Callable[[Any, Tensor], Tensor]
    gradient: Callable[[Any, Tensor, Tensor], Any]

    def states(self, near: Tensor) -> Iterator[Tensor]:
        """All 2^units of them, [1, C, units] at a time, in the dtype and on the device of `near`."""
        for start in range(0, 2**self.units, CHUNK):
            stop = min(start + CHUNK, 2**self.units)
            yield enumerate_bits(self.units, start, stop, near.dtype).to(near.device)[None]


@torch.no_grad()
def exact_log_partition(family: Family, theta: Any) -> Tensor:
    """log Z in nats, float64: [R].

    Errors: `ValueError` if the smaller side has more than `LIMIT` states, or naming a parameter that is not finite.
    """
    side = _enumerable(_sides(family, theta))
    return torch.cat([_log_terms(side, one).logsumexp(-1) for one in _replicas(theta)])


@torch.no_grad()
def exact_log_likelihood(family: Family, theta: Any, x: Tensor) -> Tensor:
    """log p(x) = log p*(x) - log Z of every case of `x` [N, D], in nats, float64: [R, N].

    Errors: as `exact_log_partition`, or if `x` is not what the family's visible units can be.
    """
    log_z, cases = exact_log_partition(family, theta), _cases(family, theta, x)
    rows = [torch.cat([family.log_unnormalised(one, part) for part in cases], -1) for one in _replicas(theta)]
    return torch.cat(rows) - log_z[:, None]


@torch.no_grad()
def exact_gradient(family: Family, theta: Theta, x: Tensor) -> Theta:
    """d/d theta of the mean log-likelihood of `x` [N, D]: the mean gradient of log p* over the cases less that under
    the model, positive phase and negative (equations 18.4 to 18.13), in the dtype of theta.

    Either side gives the negative phase, as d log Z = sum_s p(s) d log p*(s) of both.
    Errors: as `exact_log_likelihood`.
    """
    side, cases = _enumerable(_sides(family, theta)), _cases(family, theta, x)
    found = []
    for one in _replicas(theta):
        total = [torch.zeros_like(part) for part in one]
        share, p = one[0].new_full((1, len(x)), 1 / len(x)), _log_terms(side, one).softmax(-1)
        phases = (family.gradient, cases, share), (side.gradient, side.states(one[0]), -p)
        for gradient, states, weights in phases:
            for some, w in zip(states, weights.split(CHUNK, -1), strict=True):
                total = [t + g for t, g in zip(total, gradient(one, some, w), strict=True)]
        found.append(total)
    return like(theta, [torch.cat(parts).to(theta[0].dtype) for parts in zip(*found, strict=True)])


@torch.no_grad()
def state_probabilities(family: Family, theta: Any) -> Tensor:
    """p(x) of every state of visible bits, in the order of `enumerate_bits`, float64: [R, 2^D].

    Errors: `ValueError` if x is real or has more than `LIMIT` states, or naming a parameter that is not finite.
    """
    if family.support != BITS:
        raise ValueError(
            f"the visible units of {family.name} are {family.support}: only bits have states to list"
        )
    side = _enumerable(_sides(family, theta)[:1])
    return torch.cat([_log_terms(side, one).softmax(-1) for one in _replicas(theta)])


def _sides(family: Family, theta: Any) -> list[Side]:
    """What can be enumerated in principle, visible units first."""
    sides = []
    if family.support == BITS:
        sides.append(Side("visible", family.visible(theta), family.log_unnormalised, family.gradient))
    if family.hidden:
        log_p = family.hidden.log_unnormalised
        sides.append(Side("hidden", family.hidden.units(theta), log_p, partial(autograd_gradient, log_p)))
    if not sides:
        raise ValueError(
            f"{family.name} has real visible units and no hidden ones to enumerate: use evaluation.partition (AIS)"
        )
    return sides


def _enumerable(sides: list[Side]) -> Side:
    smaller = min(sides, key=lambda side: side.units)
    if 2**smaller.units > LIMIT:
        have = " and ".join(f"{side.units} {side.name} units" for side in sides)
        states = " and ".join(f"2^{side.units}" for side in sides)
        raise ValueError(
            f"{have} have {states} states, and enumeration stops at {LIMIT:,}: use evaluation.partition (AIS)"
        )
    return smaller


def _log_terms(side: Side, theta: Any) -> Tensor:
    """log p* of every state of a side, one replica: [1, 2^units]."""
    return torch.cat([side.log_unnormalised(theta, states) for states in side.states(theta[0])], -1)


def _replicas(theta: Theta) -> Iterator[Theta]:
    """One at a time, in float64: a product may round differently where others ride along."""
    check_finite(theta)
    for r in range(len(theta[0])):
        yield like(theta, [part[r : r + 1].detach().double() for part in theta])


def _cases(family: Family, theta: Any, x: Tensor) -> list[Tensor]:
    """x [N, D] in chunks [1, C, D] of float64."""
    units = family.visible(theta)
    if family.support == BITS:
        bits("x", x, units)
    elif x.ndim != 2 or x.shape[-1] != units or not len(x) or not bool(x.isfinite().all()):
        raise ValueError(f"x must be finite, [cases, {units}] with at least one case, got {list(x.shape)}")
    return [part[None].double() for part in x.to(theta[0].device).split(CHUNK)]
