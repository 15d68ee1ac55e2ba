"""The floor: the matrix products of an update and nothing else.

Forward and weight gradient of every layer of P, of Q and, where it is switched on, of the input-dependent baseline,
by `torch.mm` into memory that is there already. Two ways, of which the faster counts: torch's threads share each
product, or each thread computes products of its own with its model's matrices staying in its cache.
Ours can pass below it: the bits are mostly zeros, and a product with zeros can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.timing import Way, cores
from benchmarks.work import Work
from nvil_repro.learning.nvil import Ingredients

UPDATES = 10  # of each replica in one timed run


class Product(NamedTuple):
    """A linear map of a minibatch: out = inputs weight, gradient = inputs^T errors."""

    inputs: Tensor
    weight: Tensor
    out: Tensor
    errors: Tensor
    gradient: Tensor


def floor(work: Work) -> list[Way]:
    """The products of every replica of `work`."""
    models = [list(_products(work, ingredients)) for ingredients in work.ingredients]
    pool = ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,))

    def shared() -> None:
        for products in models:
            multiply(products, UPDATES)

    def apart() -> None:
        list(pool.map(multiply, models, [UPDATES] * len(models)))

    updates = UPDATES * len(models)
    return [Way(shared, updates, threads) for threads in {1, cores()}] + [Way(apart, updates)]


def multiply(products: list[Product], times: int) -> None:
    for _ in range(times):
        for p in products:
            torch.mm(p.inputs, p.weight, out=p.out)
            torch.mm(p.inputs.T, p.errors, out=p.gradient)


def multiply_adds(work: Work) -> float:
    """Multiply-adds per update and model."""
    pairs = [shape for ingredients in work.ingredients for shape in _shapes(work, ingredients)]
    return sum(2 * work.batch * rows * columns for rows, columns in pairs) / work.replicas


def _shapes(work: Work, ingredients: Ingredients) -> Iterator[tuple[int, int]]:
    sizes = (work.data.train.shape[1], *work.layers)
    for below, above in pairwise(sizes):
        yield below, above  # Q
        yield above, below  # P
        if ingredients.input_baseline:
            yield below, work.settings.baseline_units
            yield work.settings.baseline_units, 1


def _products(work: Work, ingredients: Ingredients) -> Iterator[Product]:
    for rows, columns in _shapes(work, ingredients):
        yield Product(
            torch.rand(work.batch, rows),
            torch.rand(rows, columns),
            torch.empty(work.batch, columns),
            torch.rand(work.batch, columns),
            torch.empty(rows, columns),
        )
