"""Results: tidy rows that carry their provenance, in one CSV file an experiment.

A diverged run has the value NaN and says so in its note; an empty field is None.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from nvil_repro.files import write_atomic
from nvil_repro.reproduction.naming import dims_label
from nvil_repro.reproduction.provenance import provenance

if TYPE_CHECKING:
    import pandas

    from nvil_repro.reproduction.notebook import Run


class Row(NamedTuple):
    """One number: `value` and `stderr` in the unit of `metric`, of `n` cases, after `seconds` of training."""

    experiment: str
    dataset: str
    model: str
    dims: str
    method: str
    protocol: str
    variant: str
    seed: int | None
    updates: int | None
    split: str
    metric: str
    value: float
    stderr: float | None
    n: int | None
    seconds: float | None
    device: str
    threads: int
    profile: str
    settings_hash: str
    code_version: str
    torch_version: str
    note: str


class ResultsError(ValueError):
    """A results file is not what this project writes; the message names the file and line."""


def result_row(
    run: Run,
    *,
    dataset: str,
    model: str,
    layers: Sequence[int],
    metric: str,
    value: float,
    split: str,
    method: str = "NVIL",
    protocol: str = "",
    variant: str = "",
    seed: int | None = None,
    updates: int | None = None,
    stderr: float | None = None,
    n: int | None = None,
    seconds: float | None = None,
    note: str = "",
    device: str | None = None,
    threads: int | None = None,
    settings_hash: str | None = None,
) -> Row:
    """A row of `run` with the provenance of this process. `layers`: h^1 first. Numbers may be 0-dim tensors.
    `threads`, those that trained, are torch's unless given, `device` and `settings_hash` the run's.

    Errors: `ValueError` if the value is not finite and no note says why.
    """
    value = float(value)
    if not math.isfinite(value) and not note:
        raise ValueError(
            f"{metric} of {model} is {value}: a row without a finite value needs a note that says why"
        )
    made = provenance(device or run.device)._asdict() | ({} if threads is None else {"threads": threads})
    return Row(
        experiment=run.experiment.name,
        dataset=dataset,
        model=model,
        dims=dims_label(layers),
        method=method,
        protocol=protocol,
        variant=variant,
        seed=_maybe(int, seed),
        updates=_maybe(int, updates),
        split=split,
        metric=metric,
        value=value if math.isfinite(value) else math.nan,
        stderr=_maybe(float, stderr),
        n=_maybe(int, n),
        seconds=_maybe(float, seconds),
        profile=run.profile,
        settings_hash=settings_hash or run.settings_hash,
        note=note,
        **made,
    )


def curve_rows(row: Callable[..., Row], history: Iterable[Mapping[str, Any]], *more: str) -> Iterator[Row]:
    """The validation numbers along a training, `loop.TrainResult.history`, of which rows share `more`, by a `row` that
    knows the rest.
    """
    for point in history:
        if point["split"] == "valid":
            shared = ("metric", "split", "value", "n", "updates", "seconds", "note", *more)
            stderr = None if math.isnan(point["stderr"]) else point["stderr"]
            yield row(stderr=stderr, **{name: point[name] for name in shared})


def publish(run: Run, rows: Iterable[Row]) -> Path:
    """Write the run's results, last and at once: `results_dir/<experiment>.csv`."""
    return write_results(run.results_dir / f"{run.experiment.name}.csv", rows)


def write_results(path: str | Path, rows: Iterable[Row]) -> Path:
    """Write rows as CSV, atomically; equal rows give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([_text(field) for field in row] for row in rows)
    return write_atomic(path, text.getvalue())


def read_results(path: str | Path) -> list[Row]:
    """Read what `write_results` wrote. Errors: `ResultsError` with the file, line and column."""
    path = Path(path)
    with path.open(newline="", encoding="utf-8") as file:
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ResultsError(
                f"{path} is not a CSV file of results: {error}; run the experiment again"
            ) from None
    if not lines or tuple(lines[0]) != Row._fields:
        got = lines[0] if lines else []
        missing = [name for name in Row._fields if name not in got]
        raise ResultsError(
            f"{path}: line 1 must name the columns {', '.join(Row._fields)}; "
            + (f"missing: {', '.join(missing)}" if missing else f"got {', '.join(got)}")
        )
    return [_row(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def read_profile(folder: str | Path, profile: str, experiments: Iterable[str]) -> list[Row]:
    """All rows of a profile's folder. Errors: `ResultsError` if a file holds another's."""
    rows = []
    for experiment in experiments:
        path = Path(folder) / f"{experiment}.csv"
        if path.is_file():
            for row in read_results(path):
                if (row.profile, row.experiment) != (profile, experiment):
                    raise ResultsError(
                        f"{path} holds a row of {row.experiment}, {row.profile} profile; only {experiment}, "
                        f"{profile} belongs there: profiles are never mixed. Run the experiment again"
                    )
                rows.append(row)
    return rows


def frame(rows: Iterable[Row]) -> pandas.DataFrame:
    """The rows as a data frame."""
    import pandas

    return pandas.DataFrame(list(rows), columns=list(Row._fields))


_KINDS = get_type_hints(Row)


def _row(path: Path, number: int, line: list[str]) -> Row:
    if len(line) != len(Row._fields):
        raise ResultsError(
            f"{path}: line {number} has {len(line)} fields, expected {len(Row._fields)}: is it cut off?"
        )
    values: list[Any] = []
    for name, text in zip(Row._fields, line, strict=True):
        kind = _KINDS[name]
        try:
            values.append(_parse(kind, text))
        except ValueError:
            raise ResultsError(
                f"{path}: line {number}: {name} = {text!r} is not a number; run the experiment again"
            ) from None
    return Row(*values)


def _parse(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if text == "" and kind in (int | None, float | None):
        return None
    return int(text) if kind in (int, int | None) else float(text)


def _text(field: Any) -> str:
    return "" if field is None else str(field)


def _maybe(kind: type, value: Any) -> Any:
    return None if value is None else kind(value)
