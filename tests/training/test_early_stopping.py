"""The best of each replica is kept by value, never by companion, and stays once a replica has stopped."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.training.early_stopping import Best, consider, no_best_yet, stopped


class Net(NamedTuple):
    """One weight per replica, and a constant that all share."""

    shared: Tensor
    weight: Tensor  # [R, 1]


def follow(values: list[list[float]], patience: int | None) -> Best:
    """Evaluations [T][R] of nets whose weight is the number of the evaluation, from 1."""
    best = no_best_yet(Net(torch.zeros(2), torch.zeros(2, 1)), 2)
    for t, value in enumerate(values, 1):
        net = Net(torch.zeros(2), torch.full((2, 1), float(t)))
        consider(best, torch.tensor(value), 10 * t, net, ~stopped(best, patience))
    return best


def test_each_replica_keeps_its_own_best() -> None:
    best = follow([[-3, -1], [-1, -2], [-2, -3]], None)
    assert best.value.tolist() == [-1, -1]
    assert best.update.tolist() == [20, 10]
    assert best.net.weight.flatten().tolist() == [2, 1]
    assert best.stale.tolist() == [1, 2]


def test_a_stopped_replica_ignores_what_comes_later() -> None:
    values = [[-3, -3], [-4, -2], [-4, -4], [-1, -1]]
    assert follow(values, 2).net.weight.flatten().tolist() == [
        1,
        4,
    ]  # the first gave up after two evaluations
    assert follow(values, None).net.weight.flatten().tolist() == [
        4,
        4,
    ]  # control: without patience it goes on
    assert stopped(follow(values[:3], 2), 2).tolist() == [True, False]


def test_nan_is_never_better() -> None:
    best = follow([[float("nan"), -1], [float("nan"), float("nan")]], None)
    assert best.value.tolist() == [-torch.inf, -1]
    assert best.net.weight.flatten().tolist() == [0, 1]
