"""How the cost of an update grows with replicas, hidden units and minibatch, beside the products' own growth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.floor import floor
from benchmarks.ours import ours
from benchmarks.rows import Row
from benchmarks.timing import milliseconds
from benchmarks.work import Bits, Work

REPLICAS = (1, 2, 5, 10, 20)
HIDDEN = (50, 100, 200, 400, 800)
BATCHES = (5, 10, 20, 50, 100, 200)
CHUNK = 10


def scaling(
    data: Bits,
    seconds: float,
    replicas: Sequence[int] = REPLICAS,
    hidden: Sequence[int] = HIDDEN,
    batches: Sequence[int] = BATCHES,
) -> Iterator[Row]:
    """One setting at a time away from SBN 200-200, minibatch 20, two seeds of the full method."""
    base = Work(data, variants=("full",), seeds=(0, 1), chunk=CHUNK)
    works = {f"{n} replica{'s' * (n > 1)}": replace(base, seeds=tuple(range(n))) for n in replicas}
    works |= {f"SBN {n}-{n}": replace(base, layers=(n, n)) for n in hidden}
    works |= {f"minibatch {n}": replace(base, batch=n) for n in batches}
    for name, work in works.items():
        found = milliseconds({"ours": ours(work), "floor": floor(work)}, seconds / len(works))
        yield Row(name, found["ours"], floor_ms=found["floor"])
