"""What the rows of `criteria_rows` say: a table for each of the three problems, and the rates shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nvil_repro.reproduction.criteria_gradients import MIDDLE
from nvil_repro.reproduction.criteria_rows import BEST, REACHED
from nvil_repro.reproduction.results import Row, frame

if TYPE_CHECKING:
    import pandas

ON_PATTERNS, ON_PLANE = "RBM", "Gaussian RBM"  # the models of the small problems, as rows name them


def pattern_table(rows: Sequence[Row], way: float = MIDDLE) -> pandas.DataFrame:
    """A line a criterion, at its best rate: log-likelihood at the end and how far it lies below the data's own, nats,
    mean over seeds and their range; its gradient at one and the same machine; milliseconds.
    """
    table = small_table(rows, ON_PATTERNS)
    gradients = gradient_table(rows)
    there = gradients[gradients["way"] == way].pivot_table(index="method", columns="metric", values="value")
    table["cosine"] = there["gradient_cosine"]
    table["length"] = there["gradient_length"]
    table["bias"] = there["gradient_bias"]
    table["noise"] = there["gradient_noise"]
    table["ms a gradient"] = there["gradient_seconds"] * 1000
    return table


def small_table(rows: Sequence[Row], model: str) -> pandas.DataFrame:
    """Of the patterns or of the plane, best criterion first, each at its best rate: where it is the largest or smallest
    that was tried, that is said. Minus infinity if a seed diverged.
    """
    import pandas

    ends = frame(row for row in rows if row.metric == REACHED and row.model == model)
    if ends.empty:
        raise ValueError(f"no row tells what a {model} reached")
    ends = ends.fillna({"value": -math.inf})
    best = truth_of(rows, ends["dataset"].iloc[0])
    chosen = ends[ends["protocol"] == ends["method"].map(best_rates(rows, model))]
    by = chosen.groupby("method")
    table = pandas.DataFrame(
        {
            "rate": by["protocol"].first().map(lambda rate: with_edge(rate, rate, ends["protocol"])),
            "log-likelihood": by["value"].mean(),
            "range": by["value"].max() - by["value"].min(),
            "below the truth": best - by["value"].mean(),
            "seconds": by["seconds"].mean(),
        }
    )
    return table.sort_values("log-likelihood", ascending=False)


def best_rates(rows: Sequence[Row], model: str) -> dict[str, str]:
    """Of each criterion of a small problem the protocol whose machines ended highest, mean over seeds."""
    ends = frame(row for row in rows if row.metric == REACHED and row.model == model)
    means = ends.fillna({"value": -math.inf}).groupby(["method", "protocol"])["value"].mean().reset_index()
    best = means.loc[means.groupby("method")["value"].idxmax()]
    return dict(zip(best["method"], best["protocol"], strict=True))


def truth_of(rows: Sequence[Row], dataset: str) -> float:
    """What no model of a small problem, by the beginning of its data set's name, can exceed."""
    (value,) = (row.value for row in rows if row.metric == BEST and row.dataset.startswith(dataset))
    return value


def curves_at_best(rows: Sequence[Row], model: str) -> pandas.DataFrame:
    """The learning curves of the criteria of a small problem, each at its best rate."""
    chosen = best_rates(rows, model)
    dataset = next(row.dataset for row in rows if row.metric == REACHED and row.model == model)
    return frame(
        row
        for row in rows
        if (row.metric, row.split, row.dataset) == ("log_likelihood", "valid", dataset)
        and row.protocol == chosen[row.method]
    )


def gradient_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """Every measured gradient, with the `way` to the trained machine where it was."""
    table = frame(row for row in rows if row.metric.startswith("gradient_"))
    return table.assign(way=table["variant"].astype(float))


def mnist_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """Test log-likelihood in nats of every criterion at every rate, mean over seeds: the middle of the bracket, its
    ends, RAISE; all minus infinity if a seed diverged. Minutes of training; which rate validation has `chosen`.
    """
    tests = frame(row for row in rows if row.split == "test" and row.metric == "log_likelihood")
    tests["variant"] = tests["variant"].replace("", "middle")
    tests = tests.fillna({"value": -math.inf})
    key = ["method", "protocol"]
    table = tests.pivot_table(index=key, columns="variant", values="value", sort=False, dropna=False)
    table = table[[name for name in ("middle", "AIS", "reverse", "RAISE") if name in table]]
    table = table.where(table["middle"] > -math.inf, -math.inf)
    chosen, tried = mnist_chosen(rows), tests["protocol"]
    marks = [with_edge("yes", rate, tried) if chosen[name] == rate else "" for name, rate in table.index]
    return table.assign(minutes=tests.groupby(key)["seconds"].mean() / 60, chosen=marks)


def mnist_chosen(rows: Sequence[Row]) -> dict[str, str]:
    """Of each criterion on MNIST the protocol whose machines ended highest on validation cases, mean over seeds."""
    curves = mnist_validation(rows).fillna({"value": -math.inf}).sort_values("updates", kind="stable")
    ends = curves.groupby(["method", "protocol", "seed"])["value"].last()
    best = ends.groupby(["method", "protocol"]).mean().groupby("method").idxmax()
    return dict(best.to_list())


def mnist_validation(rows: Sequence[Row]) -> pandas.DataFrame:
    """Validation log-likelihoods along every training on MNIST: by a short AIS, exact where the machine is small."""
    return frame(
        row
        for row in rows
        if (row.metric, row.split) == ("log_likelihood", "valid") and row.dataset.startswith("mnist")
    )


def with_edge(text: str, protocol: str, tried: Iterable[str]) -> str:
    """`text`, marked if no rate that was tried, by the names of protocols, is larger or none smaller."""
    ordered = sorted(tried, key=lambda name: float(name.split()[-1]))
    return f"{text}, edge" if protocol in (ordered[0], ordered[-1]) else text
