"""Tables from the rows of `partition_results`, errors in nats against the exact value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nvil_repro.evaluation.partition_estimate import relative_sd
from nvil_repro.reproduction.partition_methods import AIS, EXACT, RAISE, REVERSE, UNIFORM, WEIGHTED
from nvil_repro.reproduction.partition_questions import ladder_of
from nvil_repro.reproduction.partition_results import MODEL, TRIALS
from nvil_repro.reproduction.results import Row, frame

if TYPE_CHECKING:
    import pandas

NUMBERS = ["log_z", "log_z_lower", "log_z_upper", "effective_samples"]
KEYS = ["dims", "seed", "variant", "protocol"]


def estimates(rows: Sequence[Row]) -> pandas.DataFrame:
    """A line an estimate: machine, method, ladder and rungs, then `NUMBERS`, `n` and `seconds`.

    An end of an interval that is not finite, which rows hold as NaN, is infinite.
    """
    table = frame(row for row in rows if row.split == MODEL and row.metric in NUMBERS)
    wide = table.pivot_table(index=KEYS, columns="metric", values="value", sort=False, dropna=False)
    wide = wide.dropna(how="all").reindex(columns=NUMBERS)
    wide = wide.fillna({"log_z_lower": -math.inf, "log_z_upper": math.inf})
    first = table[table["metric"] == "log_z"].set_index(KEYS)
    wide = wide.join(first[["n", "seconds"]]).reset_index()
    parsed = [ladder_of(label) for label in wide["protocol"]]
    return wide.assign(ladder=[ladder for ladder, _ in parsed], rungs=[rungs for _, rungs in parsed])


def exact_values(rows: Sequence[Row]) -> dict[tuple[str, int | None], float]:
    """log Z of the machines that were enumerated, by their units and seeds."""
    return {
        (row.dims, row.seed): row.value
        for row in rows
        if (row.split, row.variant, row.metric) == (MODEL, EXACT, "log_z")
    }


def longest_estimates(rows: Sequence[Row]) -> pandas.DataFrame:
    """The longest of every method's estimates of a machine whose log Z is known, as `estimates`, with `error`,
    `holds`, whether the interval holds the exact value, and `relative_sd`, Z's standard deviation by its own weights.
    """
    table, exact = estimates(rows), exact_values(rows)
    table = table[[key in exact for key in zip(table["dims"], table["seed"], strict=True)]]
    table = table[
        (table["variant"] != RAISE) & ~((table["variant"] == REVERSE) & (table["ladder"] == UNIFORM))
    ]
    longest = table.groupby(["dims", "seed", "variant", "ladder"])["rungs"].transform("max")
    table = table[table["rungs"] == longest]
    truth = [exact[key] for key in zip(table["dims"], table["seed"], strict=True)]
    return table.assign(
        exact=truth,
        error=table["log_z"] - truth,
        holds=(table["log_z_lower"] <= truth) & (table["log_z_upper"] >= truth),
        relative_sd=[
            relative_sd(ess, n) if method in WEIGHTED else math.nan
            for method, ess, n in table[["variant", "effective_samples", "n"]].itertuples(index=False)
        ],
    )


def estimates_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """What `longest_estimates` says, for reading."""
    table = longest_estimates(rows)
    table = table[table["variant"] != EXACT]
    return pandas_of(
        {
            "method": table["variant"],
            "ladder": table["ladder"],
            "error, nats": table["error"].round(3),
            "from": (table["log_z_lower"] - table["exact"]).round(3),
            "to": (table["log_z_upper"] - table["exact"]).round(3),
            "holds log Z": table["holds"].map({True: "yes", False: "no"}),
            "sd of Z / Z": table["relative_sd"].round(3),
            "effective": table["effective_samples"].round(1),
            "samples": table["n"].astype("Int64"),
            "seconds": table["seconds"].round(2),
        }
    )


def reference(rows: Sequence[Row]) -> dict[tuple[str, int | None], float]:
    """log Z to judge by: exact, or the middle of the longest adaptive bracket."""
    return {
        (row.dims, row.seed): row.value
        for row in rows
        if (row.split, row.metric, row.variant) == ("test", "log_z", "")
    }


def bracket_lines(rows: Sequence[Row], ladder: str = UNIFORM) -> pandas.DataFrame:
    """A line a machine and length: both estimates and intervals, their `gap`, and `reference`."""
    table, known = estimates(rows), reference(rows)
    table = table[table["ladder"] == ladder]
    keys = ["dims", "seed", "rungs"]
    low, high = (
        table[(table["variant"] == name)].drop_duplicates(keys).set_index(keys)[NUMBERS]
        for name in (AIS, REVERSE)
    )
    lines = low.join(high.add_suffix("_reverse"), how="inner").reset_index()
    lines = lines.sort_values("rungs", kind="stable").sort_values(
        "dims", key=lambda d: d.astype(int), kind="stable"
    )
    level = [known[key] for key in zip(lines["dims"], lines["seed"], strict=True)]
    return lines.assign(reference=level, gap=lines["log_z_reverse"] - lines["log_z"])


def fooled_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """What AIS alone says of the test log-likelihood at every length, beside `reference`."""
    lines = bracket_lines(rows)
    level = {(r.dims, r.seed): r.value for r in rows if (r.split, r.metric) == ("test", "log_unnormalised")}
    levels = [level[key] for key in zip(lines["dims"], lines["seed"], strict=True)]
    missed = (lines["log_z_upper"] < lines["reference"]) | (lines["log_z_lower"] > lines["reference"])
    return pandas_of(
        {
            "hidden units": lines["dims"],
            "temperatures": lines["rungs"],
            "AIS alone": (levels - lines["log_z"]).round(2),
            "its interval": [
                f"[{level - high:.2f}, {level - low:.2f}]"
                for level, high, low in zip(levels, lines["log_z_upper"], lines["log_z_lower"], strict=True)
            ],
            "reverse AIS": (levels - lines["log_z_reverse"]).round(2),
            "reference": (levels - lines["reference"]).round(2),
            "flattered by": (lines["reference"] - lines["log_z"]).round(2),
            "interval misses": missed.map({True: "yes", False: "no"}),
            "effective chains": lines["effective_samples"].round(1),
        }
    )


def trial_lines(rows: Sequence[Row]) -> pandas.DataFrame:
    """A line an estimate that was tried: coverage and its Wilson interval, bias, spread, width; `n` trials."""
    table = frame(row for row in rows if row.split == TRIALS)
    wide = table.pivot_table(index=KEYS, columns="metric", values="value", sort=False, dropna=False)
    first = table.drop_duplicates(KEYS).set_index(KEYS)
    return wide.dropna(how="all").join(first["n"]).reset_index()


def coverage_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """What `trial_lines` says, for reading."""
    lines = trial_lines(rows)
    return pandas_of(
        {
            "method": lines["variant"],
            "ladder": lines["protocol"],
            "intervals that hold log Z": (lines["coverage"] * lines["n"]).round().astype(int),
            "trials": lines["n"],
            "Wilson 95%": [
                f"{low:.3f} to {high:.3f}"
                for low, high in zip(lines["coverage_lower"], lines["coverage_upper"], strict=True)
            ],
            "bias, nats": lines["bias"].round(3),
            "spread, nats": lines["spread"].round(3),
            "median width, nats": lines["width"].round(3),
            "median effective": lines["effective_samples"].round(1),
        }
    )


def pandas_of(columns: dict[str, object]) -> pandas.DataFrame:
    """A table without an index of its own to read."""
    import pandas

    table = pandas.DataFrame({name: list(values) for name, values in columns.items()})  # type: ignore[call-overload]
    return table.set_index(table.columns[0])
