"""The mean over cases, which may have weights: with their exact probabilities an expectation is a sum over states."""

from __future__ import annotations

from torch import Tensor


def mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of values [R, B] over the cases, or their sum with `weights` [R or 1, B], which sum to one: [R]."""
    return values.mean(-1) if weights is None else (values * weights).sum(-1)
