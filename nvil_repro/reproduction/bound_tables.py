"""Tables 1 and 2: every model by every column's method, trained side by side, measured on the test cases."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.importance import importance_estimate, whole_set_estimate
from nvil_repro.files import settings_hash, write_atomic
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction.belief_nets import Result, held_out
from nvil_repro.reproduction.naming import parse_model
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.profiles import PROTOCOLS
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.reproduction.runs import NVIL, WAKE_SLEEP, multiply_adds, protocol_settings, run_folder
from nvil_repro.streams import stream
from nvil_repro.training import belief_nets
from nvil_repro.training.settings import TrainSettings
from nvil_repro.training.together import Job, train_together

if TYPE_CHECKING:
    import pandas

ROUND = 50  # lengths of runs are multiples of this many updates


class Cell(NamedTuple):
    """One trained net: a row and column of a table, a protocol and a seed."""

    model: str
    column: str
    protocol: str
    seed: int


@dataclass(frozen=True)
class Measurement:
    """A net to train and what to measure of it."""

    training: TrainSettings
    bound_samples: int
    test_cases: int
    importance_samples: int
    importance_cases: int

    @property
    def updates(self) -> int:
        return self.training.updates

    @property
    def file(self) -> str:
        """The name of the file that holds what was measured, in the folder of the training."""
        measured = {name: value for name, value in asdict(self).items() if name != "training"}
        return f"test-{settings_hash(measured)}-{code_hash(of='evaluation/importance.py')}.json"


class Measured(NamedTuple):
    """A trained net and the test numbers of its best parameters on validation, nats."""

    result: Result
    test: Mapping[str, Any]  # bound, importance: [value, stderr, cases]; effective: median sample size


def table_cells(run: Run, cases: int) -> dict[Cell, Measurement]:
    """Every net of the run's table, for `cases` training cases."""
    s, cells = run.settings, {}
    for protocol, passes, seeds in zip(s.protocols, s.passes, s.seeds, strict=True):
        for model in s.models:
            for column in s.columns:
                for seed in seeds:
                    training = _training(run, Cell(model, column, protocol, seed), passes, cases)
                    sizes = (s.bound_samples, s.test_cases, s.importance_samples, s.importance_cases)
                    cells[Cell(model, column, protocol, seed)] = Measurement(training, *sizes)
    return cells


def _training(run: Run, cell: Cell, passes: int, cases: int) -> TrainSettings:
    how, (kind, layers) = PROTOCOLS[cell.protocol], parse_model(cell.model)
    updates = max(1, round(passes * cases / how.batch / ROUND)) * ROUND
    return protocol_settings(
        how,
        layers,
        updates=updates,
        eval_every=max(1, round(updates / run.settings.evaluations / ROUND)) * ROUND,
        seeds=(cell.seed,),
        method=WAKE_SLEEP if cell.column == WAKE_SLEEP else NVIL,
        architecture=architecture(kind, cell.column),
        validation_samples=run.settings.bound_samples,
    )


def architecture(kind: str, column: str = NVIL) -> Architecture:
    """That of a model of this kind; its name is the kind."""
    return Architecture(kind in ("fDARN", "DARN"), kind == "DARN", column == "autoregressive Q")


def train_table(run: Run, data: MnistSplits) -> dict[Cell, Measured]:
    """Train and measure every net of the table, as many at a time as there are threads.

    An interrupted run goes on from its last checkpoints.
    """
    jobs = {}
    for cell, measurement in table_cells(run, len(data.train)).items():
        label = f"{cell.model}, {cell.column}, {cell.protocol}, seed {cell.seed}"
        folder = run_folder(run, data.dataset, label, measurement.training)
        cost = multiply_adds(measurement.training, data.train.shape[1])
        jobs[cell] = Job(train_and_measure, measurement, folder, label, cost, measurement.file)
    return train_together(jobs, data)


def train_and_measure(measurement: Measurement, data: MnistSplits, folder: Path, **options: Any) -> Measured:
    """Train the net, then measure it unless that was done; `options` are those of `training.belief_nets.train`."""
    result = belief_nets.train(measurement.training, data, folder, **options)
    path = folder / measurement.file
    if not path.is_file():
        test = {} if result.diverged else measure(measurement, result, data)
        write_atomic(path, json.dumps(test, allow_nan=False))
    return Measured(result, json.loads(path.read_text()))


def measure(m: Measurement, result: Result, data: MnistSplits) -> dict[str, Any]:
    """The paper's test bound and the importance-weighted estimate, see `Measured.test`."""
    net, seed = result.best.net, m.training.seeds[0]
    x = held_out(data, m.test_cases)
    bound = estimate_bound(net, x, samples=m.bound_samples, seed=seed, name="test")
    part = torch.from_numpy(stream(0, "importance cases").permutation(len(x))[: m.importance_cases])
    weighted = importance_estimate(net, x[part], m.importance_samples, seed=seed)
    value, stderr = whole_set_estimate(bound, part, weighted)
    return {
        "bound": [bound.value.item(), bound.stderr.item(), bound.n],
        "importance": [value.item(), stderr.item(), weighted.n],
        "effective": weighted.effective_samples.median().item(),
    }


def table_rows(run: Run, nets: Mapping[Cell, Measured], data: MnistSplits) -> Iterator[Row]:
    """The validation bounds of every net along its training, and its test numbers."""
    for cell, (result, test) in nets.items():
        for point in result.history:
            if point["split"] == "valid":
                yield _row(
                    run, cell, data, metric="bound", split="valid", value=point["value"], n=point["n"],
                    stderr=None if math.isnan(point["stderr"]) else point["stderr"],
                    updates=point["updates"], seconds=point["seconds"], note=point["note"],
                )  # fmt: skip
        yield from _test_rows(run, cell, result, test, data)


def _test_rows(
    run: Run, cell: Cell, result: Result, test: Mapping[str, Any], data: MnistSplits
) -> Iterator[Row]:
    common: dict[str, Any] = {"split": "test", "updates": result.updates, "seconds": result.seconds}
    if not test:
        note = f"diverged at update {min(result.diverged.values())}"
        yield _row(run, cell, data, metric="bound", value=math.nan, note=note, **common)
        return
    samples = run.settings.importance_samples
    note = f"{samples:,} samples a case, median effective {test['effective']:.0f}"
    for metric, said in (("bound", ""), ("importance", note)):
        value, stderr, n = test[metric]
        name = metric if metric == "bound" else "importance_weighted"
        yield _row(run, cell, data, metric=name, value=value, stderr=stderr, n=n, note=said, **common)


def _row(run: Run, cell: Cell, data: MnistSplits, **fields: Any) -> Row:
    kind, layers = parse_model(cell.model)
    asleep = cell.column == WAKE_SLEEP
    inference = "autoregressive Q" in run.settings.columns
    variant = cell.column.split()[0] if inference else "full"
    return result_row(
        run, dataset=data.dataset, model=kind, layers=layers, method=WAKE_SLEEP if asleep else NVIL,
        variant="" if asleep else {"NVIL": "factorial"}.get(variant, variant), protocol=cell.protocol,
        seed=cell.seed, threads=1, **fields,
    )  # fmt: skip
