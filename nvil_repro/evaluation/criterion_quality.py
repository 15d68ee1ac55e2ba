"""What a gradient is worth beside that of the likelihood: its direction, size, noise and time, at given parameters.

A criterion's gradient has a scale of its own, so it is compared by the cosine of its angle to the exact one, and its
length by a ratio that a learning rate makes up for. The gradients themselves come from `gradient_estimators`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])


class GradientQuality(NamedTuple):
    """An estimator's gradient g beside the exact one e, [R] each, float64; standard errors by the jackknife over draws.

    The length of E g is that of the mean over draws less what noise adds to it. Where that is not positive noise
    drowns the rest: cosine, norm and noise are NaN then, and more draws are needed.
    """

    estimator: str
    cosine: Tensor  # of the angle between E g and e: 1 is no bias of the direction
    cosine_stderr: Tensor  # zero where E g is exact
    relative_norm: Tensor  # |E g| / |e|
    relative_norm_stderr: Tensor
    bias: Tensor  # |E g - e| / |e|, for what has the likelihood's scale; of a mean over draws noise included
    noise: Tensor  # sqrt(E |g - E g|^2) / |E g|
    seconds: float  # of a gradient, the least over draws: what other programs took away is left out
    draws: int


def gradient_quality(
    estimators: Mapping[str, Callable[[int], Theta]],
    exact: Theta,
    draws: int,
    expected: Mapping[str, Theta] | None = None,
) -> list[GradientQuality]:
    """A row for each of `estimators`, from their gradients at draw 0, 1, .. `draws` - 1, kept all at once.

    `expected` holds, by name, E g of those of which it is known exactly.
    Errors: `ValueError` if there are fewer than three draws, or if `expected` names what is not an estimator.
    """
    known = dict(expected or {})
    if draws < 3:
        raise ValueError(f"a variance and its standard error need at least 3 draws, got {draws}")
    if stray := known.keys() - estimators.keys():
        raise ValueError(f"expected gradients of {sorted(stray)}: expected names among {list(estimators)}")
    return [
        _measure(name, estimator, flat(exact), draws, flat(known[name]) if name in known else None)
        for name, estimator in estimators.items()
    ]


def _measure(
    name: str, estimator: Callable[[int], Any], exact: Tensor, draws: int, expected: Tensor | None
) -> GradientQuality:
    found, seconds = [], []
    for draw in range(draws):
        begin = perf_counter()
        gradient = estimator(draw)
        seconds.append(perf_counter() - begin)
        found.append(flat(gradient))
    g, size = torch.stack(found), exact.norm(dim=-1)  # [S, R, P]
    mean = g.mean(0)
    trace = (g - mean).square().sum((0, 2)) / (draws - 1)
    left_out = (draws * mean - g) / (draws - 1)  # the mean without draw s
    left_trace = (trace * (draws - 1) - (g - mean).square().sum(-1) * draws / (draws - 1)) / (draws - 2)
    if expected is None:
        cosine, norm = _direction(mean, trace / draws, exact)
        spread = [_jackknife(part) for part in _direction(left_out, left_trace / (draws - 1), exact)]
    else:
        mean = expected
        cosine, norm = _direction(mean, torch.zeros_like(trace), exact)
        spread = [torch.zeros_like(trace)] * 2
    return GradientQuality(
        name,
        cosine,
        spread[0],
        norm / size,
        spread[1] / size,
        (mean - exact).norm(dim=-1) / size,
        trace.sqrt() / norm,
        min(seconds),
        draws,
    )


def _direction(mean: Tensor, excess: Tensor, exact: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine of the angle between a mean gradient [..., R, P] and the exact one, and the mean's length, whose square
    noise has increased by `excess`: [..., R] each.
    """
    norm = (mean.square().sum(-1) - excess).sqrt()  # NaN of what is negative
    return (mean * exact).sum(-1) / (norm * exact.norm(dim=-1)), norm


def _jackknife(left_out: Tensor) -> Tensor:
    return left_out.std(0, correction=0) * math.sqrt(len(left_out) - 1)


def flat(theta: tuple[Tensor, ...]) -> Tensor:
    """All parameters of each replica in one row, float64: [R, P]."""
    return torch.cat([part.detach().flatten(1).double() for part in theta], -1)
