"""What an update of each net of Table 1 or 2 costs, all of a table in one run, so that they can be compared."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction.bound_tables import rows_of, training_settings
from nvil_repro.reproduction.cells import Cell, Timing, cell_hash, kept_rows, timing_cells
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row
from nvil_repro.training.belief_nets import BeliefNets
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread

MILLISECONDS = "ms_per_update"
ROUNDS = 5


def time_updates(run: Run, data: MnistSplits) -> Iterator[Row]:
    """Milliseconds an update, on one thread, of every net of the table under every protocol, from its start: metric
    `MILLISECONDS`. Where `run.keep` has all of one run they are kept: some of one and some of another tell nothing.
    """
    s, cells, kept = run.settings, list(timing_cells(run.settings)), kept_rows(run, [data.dataset])
    rows = [row for cell in cells for row in kept.get(cell, [])]
    if len(rows) == len(cells) and len({(row.device, row.code_version) for row in rows}) == 1:
        yield from rows
        return
    methods = {
        cell: BeliefNets(training_settings(run, _first(run, cell), s.timed_updates), data.train, data.valid)
        for cell in cells
    }
    for cell, (updates, fastest) in _fastest(methods, s.timed_updates).items():
        row = rows_of(run, _first(run, cell), data.dataset, cell_hash(run.experiment, s, cell))
        note = f"fastest of {ROUNDS} rounds, the nets in turn"
        yield row(metric=MILLISECONDS, value=fastest, split="train", updates=updates, note=note)


def _first(run: Run, cell: Timing) -> Cell:
    seeds = dict(zip(run.settings.protocols, run.settings.seeds, strict=True))
    return Cell(cell.model, cell.column, cell.protocol, seeds[cell.protocol][0])


def _fastest(methods: Mapping[Timing, BeliefNets], updates: int) -> dict[Timing, tuple[int, float]]:
    """About so many updates, in whole chunks, and each net's milliseconds an update in its fastest round: whatever else
    a machine does only adds. Before the rounds, one chunk each, which may have to compile.
    """
    found: dict[Timing, tuple[int, float]] = {}
    states = {cell: method.start() for cell, method in methods.items()}
    with one_thread(), Progress(len(methods) * (1 + ROUNDS), "Timing updates", unit="net") as progress:
        for warm in (False, *[True] * ROUNDS):
            for cell, method in methods.items():
                chunk = method.settings.chunk
                count = max(1, round(updates / chunk)) * chunk if warm else chunk
                begin = time.perf_counter()
                for first in range(0, count, chunk):
                    method.advance(states[cell], first, chunk)
                each = 1e3 * (time.perf_counter() - begin) / count
                if warm:
                    found[cell] = count, min(each, found.get(cell, (count, math.inf))[1])
                progress.step(1)
    return found
