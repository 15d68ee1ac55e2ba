"""What Tables 1 and 2 say: numbers beside the paper's, leads, and what the nets have learned."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.models import belief_net, mixture, nade
from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.reproduction.belief_nets import first_layer, independent_pixels
from nvil_repro.reproduction.bound_tables import INFERENCE
from nvil_repro.reproduction.cells import Cell
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.presentation import diverged, present
from nvil_repro.reproduction.protocols import AUTOREGRESSIVE
from nvil_repro.reproduction.published import Published
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.runs import LIKELIHOOD
from nvil_repro.reproduction.update_times import MILLISECONDS

if TYPE_CHECKING:
    import pandas

HEADLINES = ("bound", "log_likelihood")  # the metrics the paper prints


def summary(rows: Sequence[Row], published: Sequence[Published]) -> pandas.DataFrame:
    """A line a model, column and protocol, in the paper's sign: nats, lower is better.

    Columns: model, trained by, protocol, paper, ours (mean over seeds that did not diverge), stderr (over test cases),
    spread (largest less smallest seed), seeds, diverged (seeds), difference (ours less the paper's),
    importance-weighted and its stderr, updates, minutes (of one thread, a seed).
    """
    import pandas

    tests = [row for row in rows if row.split == "test"]
    return pandas.DataFrame([_line(*key, group, published) for key, group in _groups(tests)])


def presented(table: pandas.DataFrame) -> pandas.DataFrame:
    """`summary` as text, errors beside their numbers."""
    forms = {
        "paper": ".1f",
        "ours": ".1f",
        "difference": "+z.1f",
        "spread": ".2f",
        "importance-weighted": ".1f",
    }
    return present(
        table,
        ["model", "trained by", "protocol"],
        forms | {"updates": ",", "minutes": ".0f", "seeds": ""} | diverged(table),
        errors={"ours": "stderr", "importance-weighted": "its stderr"},
    )


def _line(
    model: str, column: str, protocol: str, group: Sequence[Row], published: Sequence[Published]
) -> dict[str, Any]:
    headlines = [row for row in group if row.metric in HEADLINES]
    weighted = [row for row in group if row.metric == "importance_weighted"]
    printed = [number.published for number in published if number.matches(headlines[0])]
    paper = math.nan if not printed or printed[0] is None else printed[0]
    values = [-row.value for row in headlines if math.isfinite(row.value)]
    ours = _mean(values)
    return {
        "model": model,
        "trained by": column,
        "protocol": protocol,
        "paper": paper,
        "ours": ours,
        "stderr": _mean(row.stderr for row in headlines),
        "spread": max(values) - min(values) if len(values) > 1 else math.nan,
        "seeds": len(values),
        "diverged": len(headlines) - len(values),
        "difference": ours - paper,
        "importance-weighted": -_mean(row.value for row in weighted),
        "its stderr": _mean(row.stderr for row in weighted),
        "updates": headlines[0].updates,
        "minutes": _mean(row.seconds for row in headlines) / 60,
    }


def _groups(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, str, str], list[Row]]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((f"{row.model} {row.dims}", trained_by(row), row.protocol), []).append(row)
    return groups.items()


def trained_by(row: Row) -> str:
    """The column of the table that a row belongs to."""
    return f"{row.variant} Q" if row.variant in INFERENCE else row.method or LIKELIHOOD


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else math.nan


def leads(table: pandas.DataFrame, above: str, below: str) -> pandas.DataFrame:
    """By how many nats the nets of one column lead those of another in `summary`, models and protocols down, where both
    were trained: as printed, ours, and by the importance-weighted estimate.
    """
    values = ["paper", "ours", "importance-weighted"]
    columns = {
        name: table[table["trained by"] == name].set_index(["model", "protocol"])[values]
        for name in (above, below)
    }
    both = columns[below].index.intersection(columns[above].index, sort=False)
    return columns[below].loc[both] - columns[above].loc[both]


def costs(rows: Iterable[Row]) -> pandas.DataFrame:
    """What an update costs, in milliseconds of one thread, see `update_times`: models down, protocols and ways to train
    across.
    """
    import pandas

    found = [
        (f"{row.model} {row.dims}", row.protocol, trained_by(row), row.value)
        for row in rows
        if row.metric == MILLISECONDS
    ]
    table = pandas.DataFrame(found, columns=["model", "protocol", "trained by", "ms"])
    return table.pivot_table(index="model", columns=["protocol", "trained by"], values="ms", sort=False)


def require_sound(rows: Sequence[Row], data: MnistSplits) -> str:
    """Check what no length of training excuses, and say it: every test number above independent pixels', every
    importance-weighted estimate above its bound.

    Errors: `AssertionError` naming the row.
    """
    pixels = independent_pixels(data.train, data.test)
    tests = [row for row in rows if row.split == "test" and math.isfinite(row.value)]
    if not tests:
        raise AssertionError("every net diverged")
    worst = min(tests, key=lambda row: row.value)
    if not worst.value > pixels:
        raise AssertionError(f"{worst} is no better than independent pixels, {pixels:.1f} nats")
    for key, group in _groups(tests):
        bounds = {row.seed: row.value for row in group if row.metric == "bound"}
        for row in group:
            if row.metric == "importance_weighted" and row.value < bounds[row.seed]:
                raise AssertionError(f"{key}: {row.value} lies below the bound {bounds[row.seed]}: {row}")
    return f"worst: {worst.model} {worst.dims}, {worst.value:.1f} nats; independent pixels {pixels:.1f}"


def drawn(
    nets: Mapping[Cell, Measured | None], column: str, count: int = 16, protocol: str | None = None
) -> dict[str, Tensor]:
    """Mean images [count, D] that a column's net draws of each model trained under this protocol, or else the column's
    first; none unless all these nets are here.
    """
    chosen = _firsts(nets, column, protocol)
    return {cell.model: _draw[type(net)](net, count, cell.seed)[0] for cell, net in chosen}


_draw: Mapping[type, Callable[[Any, int, int], Tensor]] = {
    belief_net.BeliefNet: belief_net.mean_images,
    mixture.Mixture: mixture.mean_images,
    nade.Nade: nade.mean_images,
}


def filters(nets: Mapping[Cell, Measured | None], column: str, count: int = 16) -> dict[str, Tensor]:
    """Generative weights [count, D] of the first units of each model's first layer, of the nets as in `drawn`."""
    return {cell.model: first_layer(net)[:count] for cell, net in _firsts(nets, column)}


def laterals(nets: Mapping[Cell, Measured | None], units: int = 100) -> dict[str, Tensor]:
    """Weights between the first `units` units of h^1 in each model's autoregressive Q: [units, units], above the
    diagonal, of the nets as in `drawn`.
    """
    chosen = _firsts(nets, AUTOREGRESSIVE)
    return {cell.model: strictly_upper(net.recognition[0].lateral[0])[:units, :units] for cell, net in chosen}


def _firsts(
    nets: Mapping[Cell, Measured | None], column: str, protocol: str | None = None
) -> list[tuple[Cell, Any]]:
    """The net of a column, best on validation, of each model trained under a protocol (or else the column's first) and
    of the first seed of which it is here; none unless all these models have one.
    """
    cells = [cell for cell in nets if cell.column == column]
    protocol = cells[0].protocol if protocol is None and cells else protocol
    cells = [cell for cell in cells if cell.protocol == protocol]
    firsts: dict[str, tuple[Cell, Any]] = {}
    for cell in cells:
        measured = nets[cell]
        if measured is not None:
            firsts.setdefault(cell.model, (cell, measured.result.best.net))
    return list(firsts.values()) if firsts.keys() == {cell.model for cell in cells} else []
