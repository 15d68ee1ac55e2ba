"""What the rows of `rbm_training` say: tables, and the claims that must hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nvil_repro.reproduction.claims import Claim, above, require
from nvil_repro.reproduction.presentation import present
from nvil_repro.reproduction.published import Published
from nvil_repro.reproduction.rbm_measurements import AIS, EMPTY, RAISE, REVERSE
from nvil_repro.reproduction.rbm_spurious import METRIC
from nvil_repro.reproduction.results import Row, frame

if TYPE_CHECKING:
    import pandas

REACH = 3  # standard errors that an end of a bracket is moved outwards
ABOVE_PIXELS = 10  # nats by which every machine must leave independent pixels behind
ROUNDING = 1e-3  # nats


def pattern_table(rows: Sequence[Row], best: float) -> pandas.DataFrame:
    """A line a negative phase, means over seeds: the log-likelihood at its highest and at the end, in nats, with the
    range over seeds, how far the end lies below the data's own (`best`), the mass more than a bit from every pattern,
    and seconds of training. A run that diverged ends at -inf.
    """
    table = frame(row for row in rows if row.split == "train")
    curves = _curves(rows)
    mass = table[table["metric"] == "mass_beyond_1"].groupby("method", sort=False)["value"].mean()
    by_seed = curves.groupby(["method", "seed"], sort=False)["value"]
    highest, last = by_seed.max(), by_seed.last()
    end = last.groupby("method", sort=False)
    return (
        end.mean()
        .to_frame("at the end")
        .assign(**{
            "at its highest": highest.groupby("method", sort=False).mean(),
            "spread": end.max() - end.min(),
            "below the data": best - end.mean(),
            "mass beyond 1 bit": mass,
            "seconds": curves.groupby("method", sort=False)["seconds"].max(),
        })
    )  # fmt: skip


def _curves(rows: Sequence[Row]) -> pandas.DataFrame:
    """Log-likelihoods of the patterns along training, -inf where training diverged."""
    table = frame(row for row in rows if (row.split, row.metric) == ("train", "log_likelihood"))
    return table.fillna({"value": -math.inf})


def machine_table(rows: Sequence[Row], published: Sequence[Published]) -> pandas.DataFrame:
    """A line a net and seed, in nats, higher is better: its test log-likelihood (of `SBN+RBM` the bound) with the
    standard error over test cases; between which ends it lies, estimates moved outwards by three standard errors;
    RAISE's estimate and its error; the printed number; how log Z was had; log p of the empty image; updates, and
    minutes of one thread.
    """
    import pandas

    return pandas.DataFrame(list(_lines(rows, published)))


def presented(table: pandas.DataFrame) -> pandas.DataFrame:
    """`machine_table` as text, errors beside their numbers."""
    names = {"model": "machine", "method": "trained by", "log p": "test log-likelihood"}
    between = dict.fromkeys(["from", "to", "RAISE"], ".1f")
    return present(
        table.rename(columns=names),
        ["machine", "trained by"],
        {"printed": ".1f", "test log-likelihood": ".1f", "log Z": "", **between}
        | {"log p(0)": ".2f", "updates": ",", "minutes": ".0f"},
        errors={"test log-likelihood": "stderr", "RAISE": "its stderr"},
    )


def _lines(rows: Sequence[Row], published: Sequence[Published]) -> Iterator[dict[str, Any]]:
    for row in headlines(rows):
        siblings = _siblings(row, rows)
        of = {other.variant: other for other in siblings if other.metric == row.metric}
        empty = [other.value for other in siblings if other.metric == EMPTY]
        low, high = bracket(row, rows)
        printed = [
            number.sign * number.published for number in published if number.matches(row) and number.published
        ]
        yield {
            "model": f"{row.model} {row.dims}",
            "method": row.method,
            "log p": row.value,
            "stderr": row.stderr,
            "from": low,
            "to": high,
            "RAISE": of[RAISE].value if RAISE in of else math.nan,
            "its stderr": of[RAISE].stderr if RAISE in of else math.nan,
            "printed": printed[0] if printed else math.nan,
            "log Z": _how(row, low, high),
            "log p(0)": empty[0] if empty else math.nan,
            "updates": row.updates,
            "minutes": math.nan if row.seconds is None else row.seconds / 60,
        }


def _how(row: Row, low: float, high: float) -> str:
    if not math.isfinite(row.value):
        return "diverged"
    if "exact" in row.note:
        return "exact"
    if row.metric == "bound":
        return "AIS alone"
    return "bracket" if low <= high else "ends cross"


def headlines(rows: Sequence[Row]) -> list[Row]:
    """The test number of every net and seed: of RBMs the log-likelihood, of an undirected top the bound."""
    metrics = ("log_likelihood", "bound")
    return [row for row in rows if row.split == "test" and row.metric in metrics and not row.variant]


def bracket(row: Row, rows: Sequence[Row]) -> tuple[float, float]:
    """Between which numbers a headline lies, `REACH` standard errors outwards; of a bound, the interval of log Z."""
    of = {(other.metric, other.variant): other for other in _siblings(row, rows)}
    if row.metric == "bound":
        reach = REACH * (of["log_z", ""].stderr or 0.0) if ("log_z", "") in of else math.nan
        return row.value - reach, row.value + reach
    ends = [of.get((row.metric, variant)) for variant in (REVERSE, AIS)]
    low, high = (
        math.nan if end is None else end.value + sign * REACH * (end.stderr or 0.0)
        for sign, end in zip((-1, 1), ends, strict=True)
    )
    return low, high


def _siblings(row: Row, rows: Sequence[Row]) -> list[Row]:
    """All test rows of the same net."""
    key = (row.split, row.model, row.dims, row.method, row.seed)
    return [
        other for other in rows if (other.split, other.model, other.dims, other.method, other.seed) == key
    ]


def require_claims(rows: Sequence[Row], published: Sequence[Published], *, best: float, pixels: float) -> str:
    """Check that the claims hold, and say by how much. In nats, `best` is what the patterns get from their own
    distribution, `pixels` what MNIST gets from independent pixels.

    On patterns the exact gradient ends above where it began, and no negative phase is ever above `best`; of a mode
    planted far from all data CD-1 leaves more than the exact gradient. On MNIST every machine leaves independent
    pixels `ABOVE_PIXELS` nats behind; an exact likelihood lies between its two estimates; and machines of which a
    number is printed come in the printed order, by their means over seeds. Of other machines the ends of a bracket may
    cross: rising chains can find mass that falling ones, which begin at data, never see.
    Errors: `AssertionError` naming the row or claim that does not hold.
    """
    return require(
        [*_pattern_claims(rows, best), *_machine_claims(rows, pixels), *_order_claims(rows, published)]
    )


def _pattern_claims(rows: Sequence[Row], best: float) -> Iterator[Claim]:
    curves = _curves(rows)
    by_seed = curves.groupby(["method", "seed"], sort=False)["value"]
    first, last = by_seed.first().groupby("method").mean(), by_seed.last().groupby("method").mean()
    if "exact" in last:
        yield above("patterns: the exact gradient ends above its start", last["exact"], first["exact"])
    for name, highest in curves.groupby("method", sort=False)["value"].max().items():
        yield above(f"patterns: the data's own above {name}", best + ROUNDING, highest)
    mass = frame(row for row in rows if row.metric == METRIC)
    left = mass.groupby(["method", "seed"], sort=False)["value"].last().groupby("method").mean()
    if {"CD1", "exact"} <= set(left.index):
        yield above(
            "planted mode: CD-1 leaves more of it than the exact gradient", left["CD1"], left["exact"]
        )


def _machine_claims(rows: Sequence[Row], pixels: float) -> Iterator[Claim]:
    for row in headlines(rows):
        name = f"{row.model} {row.dims}, {row.method}, seed {row.seed}"
        value = row.value if math.isfinite(row.value) else -math.inf
        yield above(f"{name}: above independent pixels + {ABOVE_PIXELS} nats", value, pixels + ABOVE_PIXELS)
        if row.metric == "log_likelihood" and row.note == "exact":
            low, high = bracket(row, rows)
            yield above(f"{name}: exact above the lower end", row.value, low)
            yield above(f"{name}: exact below the upper end", high, row.value)


def _order_claims(rows: Sequence[Row], published: Sequence[Published]) -> Iterator[Claim]:
    """In the order of the numbers that are printed of CD, by means over seeds; others were had on other data."""
    found = []
    for number in published:
        values = [row.value for row in headlines(rows) if number.matches(row)]
        if values and number.published is not None and number.method.startswith("CD"):
            mean = fmean(value if math.isfinite(value) else -math.inf for value in values)
            found.append((number.sign * number.published, number.method, mean))
    for (_, lower, worse), (_, upper, better) in pairwise(sorted(found)):
        yield above(f"in the printed order: {upper} above {lower}", better, worse)
