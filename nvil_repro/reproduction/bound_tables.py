"""Tables 1 and 2: every model by every column's method, trained side by side, as rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction.cells import Cell, bound_cells, cell_hash, kept_rows, passes_of, without_kept
from nvil_repro.reproduction.measurements import (
    Bounds,
    Likelihood,
    Measured,
    Measurement,
    measured_file,
    train_and_measure,
)
from nvil_repro.reproduction.naming import parse_model
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import AUTOREGRESSIVE, NVIL, PROTOCOLS, WAKE_SLEEP
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import LIKELIHOOD, protocol_settings, run_folder
from nvil_repro.training.mixture import MixtureSettings
from nvil_repro.training.nade import NadeSettings
from nvil_repro.training.settings import TrainSettings
from nvil_repro.training.together import Job, train_together

INFERENCE = ("factorial", "autoregressive")  # the inference networks of Table 2
ROUND = 50  # lengths of runs are multiples of this many updates


def table_cells(run: Run, cases: int) -> dict[Cell, Measurement]:
    """Every net of the run's table, for `cases` training cases."""
    measurements: dict[Cell, Measurement] = {}
    for cell in bound_cells(run.settings):
        measurement = _bounds if cell.protocol else _likelihood
        measurements[cell] = measurement(run, cell, passes_of(run.settings, cell), cases)
    return measurements


def _likelihood(run: Run, cell: Cell, passes: int, cases: int) -> Likelihood:
    kind, (units,) = parse_model(cell.model)
    training: MixtureSettings | NadeSettings
    if kind == "NADE":
        batch = NadeSettings().batch_size
        updates = _whole(passes * cases / batch)
        training = NadeSettings(
            units, updates, (cell.seed,), batch_size=batch, eval_every=_whole(updates / passes)
        )
    else:
        training = MixtureSettings(units, passes, (cell.seed,))
    return Likelihood(training, run.settings.test_cases)


def _bounds(run: Run, cell: Cell, passes: int, cases: int) -> Bounds:
    s = run.settings
    training = training_settings(run, cell, passes * cases / PROTOCOLS[cell.protocol].batch)
    return Bounds(training, s.bound_samples, s.test_cases, s.importance_samples, s.importance_cases)


def training_settings(run: Run, cell: Cell, updates: float) -> TrainSettings:
    """Of a belief network of the table, over about so many updates."""
    s, (kind, layers), whole = run.settings, parse_model(cell.model), _whole(updates)
    return protocol_settings(
        PROTOCOLS[cell.protocol],
        layers,
        updates=whole,
        eval_every=_whole(whole / s.evaluations),
        seeds=(cell.seed,),
        method=WAKE_SLEEP if cell.column == WAKE_SLEEP else NVIL,
        architecture=architecture(kind, cell.column),
        validation_samples=s.bound_samples,
    )


def _whole(updates: float) -> int:
    return max(1, round(updates / ROUND)) * ROUND


def architecture(kind: str, column: str = NVIL) -> Architecture:
    """That of a belief network of this kind; its name is the kind."""
    return Architecture(kind in ("fDARN", "DARN"), kind == "DARN", column == AUTOREGRESSIVE)


def train_table(run: Run, data: MnistSplits) -> dict[Cell, Measured | None]:
    """Train and measure every net of the table, as many at a time as there are threads; None where `run.keep` has its
    rows and the net is not here.

    An interrupted run goes on from its last checkpoints.
    """
    jobs = {}
    cells = table_cells(run, len(data.train))
    for cell, m in cells.items():
        label = f"{cell.model}, {cell.column}, {cell.protocol}, seed {cell.seed}".replace(" , ", " ")
        folder = run_folder(run, data.dataset, label, m.training, m.module)
        jobs[cell] = Job(
            train_and_measure, m, folder, label, m.training.updates, m.multiply_adds, measured_file(m)
        )
    trained = train_together(without_kept(run, jobs, [data.dataset]), data)
    return {cell: trained.get(cell) for cell in cells}


def table_rows(run: Run, nets: Mapping[Cell, Measured | None], data: MnistSplits) -> Iterator[Row]:
    """The validation numbers of every net along its training, and its test numbers; of None the rows that are kept."""
    kept = kept_rows(run, [data.dataset])
    for cell, measured in nets.items():
        own = cell_hash(run.experiment, run.settings, cell)
        if measured is None:
            name, variant = run.experiment.name, _variant(run, cell)
            for row in kept[cell]:
                yield row._replace(experiment=name, variant=variant, settings_hash=own)
            continue
        result, test = measured
        new = rows_of(run, cell, data.dataset, own)
        yield from curve_rows(new, result.history)
        common: dict[str, Any] = {"split": "test", "updates": result.updates, "seconds": result.seconds}
        for metric, (value, stderr, n, note) in test.items():
            yield new(metric=metric, value=value, stderr=stderr, n=n, note=note, **common)
        if not test:
            note = f"diverged at update {min(result.diverged.values())}"
            yield new(metric=result.history[0]["metric"], value=math.nan, note=note, **common)


def rows_of(run: Run, cell: Cell, dataset: str, settings_hash: str) -> Callable[..., Row]:
    """How to write a row of this net."""
    kind, layers = parse_model(cell.model)
    method = {WAKE_SLEEP: WAKE_SLEEP, LIKELIHOOD: ""}.get(cell.column, NVIL)
    return partial(
        result_row, run, dataset=dataset, model=kind, layers=layers, method=method, variant=_variant(run, cell),
        protocol=cell.protocol, seed=cell.seed, threads=1, settings_hash=settings_hash,
    )  # fmt: skip


def _variant(run: Run, cell: Cell) -> str:
    if cell.column in (WAKE_SLEEP, LIKELIHOOD):
        return ""
    return INFERENCE[cell.column == AUTOREGRESSIVE] if AUTOREGRESSIVE in run.settings.columns else "full"
