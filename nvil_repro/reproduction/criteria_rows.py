"""The trainings of `criteria_runs` as rows: log-likelihoods along each, and what was measured of it in the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from nvil_repro.data.small_patterns import ring_log_density
from nvil_repro.reproduction.criteria_gradients import gradient_rows
from nvil_repro.reproduction.criteria_runs import MNIST, PATTERNS, PLANE, Cell, Data
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row, result_row

REACHED = (
    "log_likelihood_reached"  # at the end of training, of the cases a model of a small problem is held to
)
TRUTH = "the truth"
BEST = "log_likelihood_best"  # of these cases under the distribution that they come from


def rows_of(run: Run, trained: Mapping[Cell, Measured], data: Data) -> Iterator[Row]:
    """All rows. `protocol` names the rate; each criterion has rows of all its rates."""
    for cell, measured in trained.items():
        yield from _curve(run, cell, measured, data)
        yield from _test_rows(run, cell, measured, data)
    yield from _best_rows(run, data)
    yield from gradient_rows(run, trained[at_its_best(trained)[PATTERNS, "exact"]].result, data.patterns)


def at_its_best(trained: Mapping[Cell, Measured]) -> dict[tuple[str, str], Cell]:
    """Of each small problem and criterion the training that ended highest, mean over seeds: its best rate."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in sorted(trained, key=lambda cell: _ended(trained[cell])):
        if cell.part != MNIST:
            found[cell.part, cell.criterion] = cell
    return found


def _ended(measured: Measured) -> float:
    """Mean over seeds of the log-likelihood at the end, in nats; minus infinity if one diverged."""
    last = _last(measured)
    return -math.inf if measured.result.diverged else math.fsum(p["value"] for p in last) / len(last)


def _last(measured: Measured) -> list[Mapping[str, Any]]:
    """The last validation of every seed."""
    last = {point["seed"]: point for point in measured.result.history if point["split"] == "valid"}
    return list(last.values())


def _row(run: Run, cell: Cell, data: Data, **fields: Any) -> Row:
    splits, s = getattr(data, cell.part), run.settings
    model = "Gaussian RBM" if cell.part == PLANE else "RBM"
    hidden = s.hidden if cell.part == MNIST else s.pattern_hidden
    return result_row(
        run, dataset=splits.dataset, model=model, layers=(hidden,), method=cell.criterion,
        protocol=f"Adam {cell.rate:g}", threads=1, **fields,
    )  # fmt: skip


def _curve(run: Run, cell: Cell, measured: Measured, data: Data) -> Iterator[Row]:
    """Validations along the training, and of a small problem once more what it ended with."""

    def row(point: Mapping[str, Any], metric: str) -> Row:
        shared = {name: point[name] for name in ("seed", "updates", "split", "value", "n", "note")}
        stderr = None if math.isnan(point["stderr"]) else point["stderr"]
        seconds = point["seconds"] / len(cell.seeds)
        return _row(run, cell, data, metric=metric, stderr=stderr, seconds=seconds, **shared)

    yield from (row(p, p["metric"]) for p in measured.result.history if p["split"] == "valid")
    if cell.part != MNIST:
        yield from (row(point, REACHED) for point in _last(measured))


def _test_rows(run: Run, cell: Cell, measured: Measured, data: Data) -> Iterator[Row]:
    """What was measured of a machine on MNIST; one row of NaN where its training diverged."""
    if cell.part != MNIST:
        return
    result, shared = measured.result, {"split": "test", "seed": cell.seeds[0]}
    row = partial(_row, run, cell, data, updates=result.updates, seconds=result.seconds, **shared)
    for name, (value, stderr, n, note) in measured.test.items():
        metric, _, variant = name.partition("/")
        yield row(metric=metric, variant=variant, value=value, stderr=stderr, n=n or None, note=note)
    if result.diverged:
        note = f"diverged at update {min(result.diverged.values())}"
        yield row(metric="log_likelihood", value=math.nan, note=note)


def _best_rows(run: Run, data: Data) -> Iterator[Row]:
    """What no model of the small problems can exceed, but by chance on the plane."""
    on_plane = ring_log_density(data.plane.valid).mean().item()
    for splits, value in ((data.patterns, data.patterns.best), (data.plane, on_plane)):
        yield result_row(
            run, dataset=splits.dataset, model=TRUTH, layers=(), method="", split="valid", metric=BEST,
            value=value, n=len(splits.valid), threads=1,
        )  # fmt: skip
