"""Nets and data small enough to train in a blink."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.training.loop import TrainResult
from nvil_repro.training.settings import TrainSettings
from nvil_repro.trees import leaves


class Bits(NamedTuple):
    """80 cases of 6 bits."""

    train: Tensor
    valid: Tensor
    dataset: str = "toy"


def toy_data(seed: int = 0) -> Bits:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(80, 6, generator=generator) < torch.rand(6, generator=generator)).to(torch.uint8)
    return Bits(x[:64], x[64:])


SETTINGS = TrainSettings(
    layers=(3, 2),
    updates=25,
    variants=("full", "none"),
    rate=1e-2,
    inference_rate=1e-2,
    baseline_rate=1e-2,
    batch_size=8,
    baseline_units=4,
    eval_every=10,
    validation_samples=2,
    chunk=5,
    engine="torch",
    checkpoint_seconds=0,
)


def toy_settings(**changes: Any) -> TrainSettings:
    return replace(SETTINGS, **changes)


def timeless(result: TrainResult) -> list[str]:
    """The history without its timing, NaN equal to NaN."""
    return [repr({k: v for k, v in row.items() if k != "seconds"}) for row in result.history]


def same(a: TrainResult, b: TrainResult) -> bool:
    """Equal histories and bit for bit equal parameters, estimator states, best parameters and divergences."""
    trees = zip(leaves((a.state, a.best)), leaves((b.state, b.best)), strict=True)
    return (
        timeless(a) == timeless(b)
        and a.diverged == b.diverged
        and all(torch.equal(x.nan_to_num(7.0), y.nan_to_num(7.0)) for (_, x), (_, y) in trees)
    )


def rows_of(result: TrainResult, variant: str, seed: int = 0) -> list[str]:
    """One replica's history, without its number and the timing."""
    drop = ("seconds", "replica")
    rows = (row for row in result.history if (row["variant"], row["seed"]) == (variant, seed))
    return [repr({k: v for k, v in row.items() if k not in drop}) for row in rows]
