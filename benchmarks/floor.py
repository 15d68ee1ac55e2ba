"""The floor: the matrix products of a piece of work and nothing else.

Of an update: forward and weight gradient of every layer of P, of Q and, where it is switched on, of the input-dependent
baseline; under wake-sleep every layer goes forward twice, awake and dreaming. The weights among the units of an
autoregressive layer fill a strict triangle: a dense product with half of the square's columns stands for them.

By `torch.mm` into memory that is there already, in the `timing.ways` of which the fastest counts: torch's threads share
each product, or each thread computes products of its own with its model's matrices staying in its cache.
Ours can pass below it: the bits are mostly zeros, and a product with zeros can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.timing import Way, ways
from benchmarks.work import Work
from nvil_repro.learning.nvil import Ingredients

UPDATES = 10  # of each replica in one timed run


class Map(NamedTuple):
    """A matrix [rows, columns], and how often a minibatch goes through it and gives it a gradient."""

    rows: int
    columns: int
    forward: int = 1
    backward: int = 1


class Product(NamedTuple):
    """A linear map of a minibatch: out = inputs weight, gradient = inputs^T errors."""

    of: Map
    inputs: Tensor
    weight: Tensor
    out: Tensor
    errors: Tensor
    gradient: Tensor


def floor(work: Work) -> list[Way]:
    """The products of every replica of `work`."""
    return products_alone([list(_maps(work, ingredients)) for ingredients in work.ingredients], work.batch)


def products_alone(models: Sequence[Iterable[Map]], batch: int, share: float = 1.0) -> list[Way]:
    """Minibatches of `batch` rows through the maps of each model, each `share` of an update (a test case, ...)."""
    jobs = [partial(multiply, [_product(m, batch) for m in maps], UPDATES) for maps in models]
    return ways(jobs, UPDATES * len(models) * share)


def multiply(products: Sequence[Product], times: int) -> None:
    for _ in range(times):
        for p in products:
            for _ in range(p.of.forward):
                torch.mm(p.inputs, p.weight, out=p.out)
            for _ in range(p.of.backward):
                torch.mm(p.inputs.T, p.errors, out=p.gradient)


def multiply_adds(work: Work) -> float:
    """Multiply-adds per update and model."""
    maps = [m for ingredients in work.ingredients for m in _maps(work, ingredients)]
    return work.batch * sum(m.rows * m.columns * (m.forward + m.backward) for m in maps) / work.replicas


def triangle(units: int, forward: int = 1, backward: int = 1) -> Map:
    """The lateral weights of an autoregressive layer, as half of a square."""
    return Map(units, units // 2, forward, backward)


def _maps(work: Work, ingredients: Ingredients) -> Iterator[Map]:
    forward = 2 if work.method == "wake-sleep" else 1
    for below, above in pairwise(work.sizes):
        yield Map(below, above, forward)  # Q
        yield Map(above, below, forward)  # P
        if ingredients.input_baseline:
            yield Map(below, work.settings.baseline_units)
            yield Map(work.settings.baseline_units, 1)
    for units in work.autoregressive:
        yield triangle(units, forward)


def _product(m: Map, batch: int) -> Product:
    return Product(
        m,
        torch.rand(batch, m.rows),
        torch.rand(m.rows, m.columns),
        torch.empty(batch, m.columns),
        torch.rand(batch, m.columns),
        torch.empty(m.rows, m.columns),
    )
