"""The best parameters of each replica by its validation value, and when to stop looking for better ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.trees import clone, copy_replicas


class Best(NamedTuple):
    """The best evaluation of each of R replicas so far; higher is better."""

    value: Tensor  # [R] float64, -inf before the first finite evaluation
    update: Tensor  # [R] int64, where it was reached
    stale: Tensor  # [R] int64, evaluations since
    net: Any  # the parameters there


def no_best_yet(net: Any, replicas: int) -> Best:
    """Before the first evaluation: the parameters are those of `net`, copied."""
    counts = torch.zeros(2, replicas, dtype=torch.int64)
    return Best(
        torch.full((replicas,), -torch.inf, dtype=torch.float64),
        counts[0].clone(),
        counts[1].clone(),
        clone(net),
    )


def stopped(best: Best, patience: int | None) -> Tensor:
    """Which replicas have gone `patience` evaluations without a better one: bool [R]. None if it is None."""
    return torch.zeros_like(best.stale, dtype=torch.bool) if patience is None else best.stale >= patience


def consider(best: Best, values: Tensor, update: int, net: Any, active: Tensor) -> None:
    """Take an evaluation, values [R], of the `active` replicas, bool [R], into account, in place.

    NaN is never better; the best of the others stays.
    """
    better = active & (values.to(best.value.dtype) > best.value)
    best.value[better] = values.to(best.value.dtype)[better]
    best.update[better] = update
    best.stale[active] += 1
    best.stale[better] = 0
    copy_replicas(best.net, net, better)
