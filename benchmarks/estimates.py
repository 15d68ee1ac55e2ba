"""The importance-weighted estimate of a test case, beside its definition in torch and the products of its samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.floor import Map, products_alone, triangle
from benchmarks.networks import AUTOREGRESSIVE_Q, FDARN
from benchmarks.rows import Row, measured
from benchmarks.timing import Way, cores, ways
from benchmarks.work import Bits, Work
from nvil_repro.evaluation.importance import importance_estimate
from nvil_repro.evaluation.weights import ELEMENTS
from nvil_repro.models.modules import as_modules

SAMPLES = 5_000


def estimated(data: Bits) -> dict[str, Work]:
    """One model each, as it starts: what it has learned makes no difference to the cost."""
    one = Work(data, layers=(200,), variants=("full",))
    return {
        "SBN 200": one,
        "SBN 200-200": replace(one, layers=(200, 200)),
        "fDARN 200": replace(one, architecture=FDARN),
        "SBN 200, autoregressive Q": replace(one, architecture=AUTOREGRESSIVE_Q),
    }


def estimates(works: Mapping[str, Work], seconds: float, samples: int = SAMPLES) -> Iterator[Row]:
    """A row per model, of as many cases as there are cores."""
    note = f"K = {samples:,}, per test case"
    for name, work in works.items():
        contenders = {
            "ours": ours(work, samples),
            "floor": floor(work, samples),
            "definition, torch": definition(work, samples),
        }
        yield from measured(f"importance-weighted estimate, {name}", contenders, seconds / len(works), note)


def ours(work: Work, samples: int) -> list[Way]:
    """In bounded memory, and what the samples of a case share computed once."""
    net = work.net()
    return ways([partial(importance_estimate, net, x, samples) for x in _cases(work)], cores())


def definition(work: Work, samples: int) -> list[Way]:
    """log (1/K) sum_k P(x, h_k) / Q(h_k | x), a case's K samples as one minibatch of two modules."""
    model, inference, _ = as_modules(work.net())

    @torch.no_grad()
    def estimate(x: Tensor) -> Tensor:
        rows = x.float().expand(samples, -1)
        h = inference.sample(rows)
        weights = model.log_prob(rows, h).sum(0) - inference.log_prob(h, rows).sum(0)
        return weights.logsumexp(0) - math.log(samples)

    return ways([partial(estimate, x) for x in _cases(work)], cores())


def floor(work: Work, samples: int) -> list[Way]:
    """Every sample forward through P and Q, as many at a time as ours holds.

    What all samples of a case share, Q's first layer and the visibles' lateral weights, is left out.
    """
    pairs = list(pairwise(work.sizes))
    maps = [Map(above, below, backward=0) for below, above in pairs]
    maps += [Map(below, above, backward=0) for below, above in pairs[1:]]
    maps += [triangle(units, backward=0) for units in work.autoregressive[work.architecture.visible :]]
    rows = min(samples, ELEMENTS // max(work.sizes))
    return products_alone([maps] * cores(), rows, share=rows / samples)


def _cases(work: Work) -> list[Tensor]:
    return list(work.data.train[: cores()].split(1))
