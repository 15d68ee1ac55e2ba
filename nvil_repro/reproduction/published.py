"""The paper's numbers, from `results/published.csv`: one row a number, with the table it is printed in.

The columns experiment, dataset, model, dims, method, variant and split say which result rows it is compared
with, `measured` the metric of those rows, and `sign` how their sign turns into the paper's: bounds are
negative here and in Figure 1, positive in the tables. `published` is empty where the paper prints a curve
and no number.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

from nvil_repro.reproduction.project import project_root
from nvil_repro.reproduction.results import ResultsError, Row

RANK = "rank"  # measured: the place of a variant among its network's curves


class Published(NamedTuple):
    """A number of the paper. `unit` says which direction is better."""

    experiment: str
    row: str
    metric: str
    published: float | None
    unit: str
    dataset: str
    model: str
    dims: str
    method: str
    variant: str
    split: str
    measured: str
    sign: int
    table: str
    source: str
    note: str

    def matches(self, row: Row) -> bool:
        """Whether `row` measures this number, on the same `data_of`."""
        return (
            data_of(row.dataset) == self.dataset
            and row.metric == ("bound" if self.measured == RANK else self.measured)
            and (row.experiment, row.model, row.dims, row.method, row.variant, row.split)
            == (self.experiment, self.model, self.dims, self.method, self.variant, self.split)
        )


def data_of(dataset: str) -> str:
    """The data of the paper that this is: MNIST in any binarisation, RCV1-v2 from tokens or weights; else itself."""
    return (
        "mnist-fixed" if dataset.split("-")[0] == "mnist" else {"rcv1-weights": "rcv1"}.get(dataset, dataset)
    )


def read_published(path: str | Path | None = None) -> list[Published]:
    """Read `results/published.csv`, the project's unless another is given. Errors: `ResultsError` with the line."""
    path = Path(path or project_root() / "results" / "published.csv")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != Published._fields:
        raise ResultsError(f"{path}: line 1 must name the columns {', '.join(Published._fields)}")
    return [_published(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def _published(path: Path, number: int, line: list[str]) -> Published:
    try:
        fields = dict(zip(Published._fields, line, strict=True))
        value, sign = fields.pop("published"), int(fields.pop("sign"))
        if sign not in (1, -1) or (value and not math.isfinite(float(value))):
            raise ValueError("expected a finite number, and a sign of 1 or -1")
        return Published(**fields, published=float(value) if value else None, sign=sign)
    except ValueError as error:
        raise ResultsError(f"{path}: line {number}: {error}") from None
