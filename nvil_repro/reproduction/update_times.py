"""What an update of each net of Tables 1 and 2 costs, all of them in one run, so that they can be compared."""

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
    `MILLISECONDS`; of what `run.keep` has, the rows that are kept.
    """
    s, kept = run.settings, kept_rows(run, [data.dataset])
    methods = {
        cell: BeliefNets(training_settings(run, _first(run, cell), s.timed_updates), data.train, data.valid)
        for cell in timing_cells(s)
        if cell not in kept
    }
    fastest = _fastest(methods, s.timed_updates)
    for cell in timing_cells(s):
        if cell in kept:
            yield from kept[cell]
            continue
        row = rows_of(run, _first(run, cell), data.dataset, cell_hash(run.experiment, s, cell))
        note = f"fastest of {ROUNDS} rounds, the nets in turn"
        yield row(metric=MILLISECONDS, value=fastest[cell], split="train", updates=s.timed_updates, note=note)


def _first(run: Run, cell: Timing) -> Cell:
    seeds = dict(zip(run.settings.protocols, run.settings.seeds, strict=True))
    return Cell(cell.model, cell.column, cell.protocol, seeds[cell.protocol][0])


def _fastest(methods: Mapping[Timing, BeliefNets], updates: int) -> dict[Timing, float]:
    """Each in its fastest round: whatever else a machine does only adds. Before the rounds, one chunk each, which may
    have to compile.
    """
    states = {cell: method.start() for cell, method in methods.items()}
    best = dict.fromkeys(methods, math.inf)
    with one_thread(), Progress(len(methods) * (1 + ROUNDS), "Timing updates", unit="net") as progress:
        for count in (0, *[updates] * ROUNDS):
            for cell, method in methods.items():
                chunk = method.settings.chunk
                begin = time.perf_counter()
                for first in range(0, max(chunk, count), chunk):
                    method.advance(states[cell], first, chunk)
                if count:
                    best[cell] = min(best[cell], 1e3 * (time.perf_counter() - begin) / max(chunk, count))
                progress.step(1)
    return best
