"""Sampling a minibatch of an autoregressive layer, compiled, beside the naive loop over its units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from torch import Tensor

from benchmarks.floor import products_alone, triangle
from benchmarks.rows import Row, measured
from benchmarks.timing import Way, cores, ways
from nvil_repro.models.autoregressive import draw, draw_by_unit
from nvil_repro.streams import normals, uniforms

UNITS = (200, 500)
TIMES = 4  # in one timed run, on each core

Sampler = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def sampling(seconds: float, units: Sequence[int] = UNITS, batch: int = 20) -> Iterator[Row]:
    """A row per size of the layer."""
    for size in units:
        contenders = {
            "ours": sampled(draw, size, batch),
            "floor": products_alone([[triangle(size, backward=0)]] * cores(), batch),
            "a unit at a time, torch": sampled(draw_by_unit, size, batch),
        }
        name = f"sampling {size} autoregressive units, minibatch {batch}"
        yield from measured(name, contenders, seconds / len(units), "per minibatch and model")


def sampled(sampler: Sampler, units: int, batch: int) -> list[Way]:
    """Minibatches of one model, inputs' part of the logits and uniforms ready; bits and their log-probabilities."""
    a, u = (
        normals(0, "benchmark/logits", 0, (1, batch, units)),
        uniforms(0, "benchmark", 0, (1, batch, units)),
    )
    lateral = normals(0, "benchmark/lateral", 0, (1, units, units)) / units**0.5
    times = TIMES * cores()
    return ways([partial(sampler, a, u, lateral)] * times, times)
