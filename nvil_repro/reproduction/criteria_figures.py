"""The figures of the criteria without a partition function: curves, gradients, densities on a plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from nvil_repro.data.small_patterns import ring_log_density
from nvil_repro.evaluation.exact_partition import exact_log_likelihood
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM
from nvil_repro.reproduction.criteria_gradients import WAYS
from nvil_repro.reproduction.criteria_rows import TRUTH, at_its_best
from nvil_repro.reproduction.criteria_runs import PLANE, REAL_CRITERIA, Cell
from nvil_repro.reproduction.criteria_views import (
    ON_PATTERNS,
    ON_PLANE,
    curves_at_best,
    gradient_table,
    mnist_chosen,
    mnist_validation,
    small_table,
    truth_of,
)
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.rbm_figures import sampler_stroke
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.style import Stroke, marked
from nvil_repro.trees import view

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

CRITERIA = {
    **{name: sampler_stroke(name) for name in ("exact", "CD1", "PCD")},
    "pseudolikelihood": Stroke("pseudolikelihood", "#009E73", (1.5, 1), "D"),
    "generalised pseudolikelihood": Stroke("generalised pseudolikelihood", "#009E73", (8, 2), "P"),
    "ratio matching": Stroke("ratio matching", "#E69F00", (3, 1, 1, 1), "v"),
    "noise contrastive": Stroke("noise-contrastive", "#CC79A7", (), "X"),
    "self-contrastive": Stroke("self-contrastive", "#56B4E9", (5, 1.5, 1.5, 1.5), "<"),
    "minimum probability flow": Stroke("minimum probability flow", "#56565B", (3, 1, 1, 1, 1, 1), ">"),
}
EDGE = 1.7  # of the plane that is drawn
BINS = 120  # a side


def stroke(name: str) -> Stroke:
    """That of a criterion; of "CD10" and others like it, that of the negative phase."""
    return CRITERIA[name] if name in CRITERIA else sampler_stroke(name)


def pattern_curves(rows: Sequence[Row]) -> Figure:
    """Exact log-likelihood of bars and stripes by criterion, each at its best rate: against updates and seconds."""
    table, truth = curves_at_best(rows, ON_PATTERNS), truth_of(rows, "bars")
    figure = _curves(table, "log-likelihood of bars and stripes, nats", "seconds")
    for axes in figure.axes:
        axes.axhline(truth, color="#56565B", linewidth=1)
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
        axes.annotate("the data's own", (1, truth), fontsize="small", **place)
    return figure


def mnist_curves(rows: Sequence[Row]) -> Figure:
    """Validation log-likelihood on MNIST of each criterion at its rate of `mnist_chosen`."""
    table = mnist_validation(rows)
    table = table[table["protocol"] == table["method"].map(mnist_chosen(rows))]
    return _curves(table, "validation log-likelihood, nats", "minutes")


def _curves(table: pandas.DataFrame, label: str, unit: str) -> Figure:
    """Mean over seeds with a band for their range: left against updates, right against seconds or minutes. The start,
    the same for all and far below, is left out.
    """
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10.5, 5.0), sharey=True, layout="constrained")
    table = table[(table["updates"] > 0) & table["value"].notna()]
    for name in present(table):
        by = (
            table[table["method"] == name]
            .groupby("updates")[["value", "seconds"]]
            .agg(["mean", "min", "max"])
        )
        times = by["seconds"]["mean"] / {"seconds": 1, "minutes": 60}[unit]
        for axes, x in zip(panels, (by.index / 1000, times), strict=True):
            axes.plot(
                x, by["value"]["mean"], label=stroke(name).label, markevery=marked(len(x)), **_look(name)
            )
            band = by["value"]["min"], by["value"]["max"]
            axes.fill_between(x, *band, color=stroke(name).colour, alpha=0.15, linewidth=0)
    panels[0].set(xlabel="parameter updates, thousands", ylabel=label)
    panels[1].set(xlabel=f"{unit} of training, one thread")
    _legend_below(figure)
    return figure


def present(table: pandas.DataFrame) -> list[str]:
    """The criteria that a table is of, in the order in which they are drawn."""
    there = set(table["method"])
    return [name for name in CRITERIA if name in there] + sorted(there - set(CRITERIA))


def _legend_below(figure: Figure) -> None:
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncol=5, fontsize="small")


def _look(name: str) -> dict[str, Any]:
    mine = stroke(name)
    return {
        **{"color": mine.colour, "marker": mine.marker, "markeredgecolor": "white", "markersize": 7},
        "linestyle": (0, mine.dashes) if mine.dashes else "-",
    }


def gradients(rows: Sequence[Row]) -> Figure:
    """Along the way to the trained machine, the angle of each criterion's expected gradient to the exact one, and the
    noise of one minibatch's, in lengths of the expected one; right, the time it takes.
    """
    from matplotlib import pyplot

    table = gradient_table(rows)
    names = present(table)
    figure, panels = pyplot.subplots(1, 3, figsize=(13.5, 4.8), layout="constrained")
    labels = ("cosine of the angle to the exact gradient", "noise / length")
    for axes, metric, label in zip(panels, ("gradient_cosine", "gradient_noise"), labels, strict=False):
        for name in names:
            part = table[(table["metric"] == metric) & (table["method"] == name)].sort_values("way")
            axes.plot(part["way"], part["value"], label=stroke(name).label, **_look(name))
        axes.set(xlabel="way from fresh to trained machine", ylabel=label, xticks=WAYS)
    panels[1].set_ylim(bottom=0)
    seconds = table[table["metric"] == "gradient_seconds"].groupby("method")["value"].min()
    for place, name in enumerate(names):
        panels[2].plot(1000 * seconds[name], place, **_look(name) | {"linestyle": "none"})
    panels[2].set(xlabel="milliseconds a gradient, one thread", yticks=range(len(names)))
    panels[2].set_yticklabels([stroke(name).label for name in names], fontsize="small")
    panels[2].set_xlim(left=0)
    panels[2].invert_yaxis()
    _legend_below(figure)
    return figure


def densities(trained: Mapping[Cell, Measured], rows: Sequence[Row]) -> Figure:
    """Densities on the plane on one scale: that of the ring of bumps, and the first seed's machines by criterion."""
    from matplotlib import pyplot

    at = torch.linspace(-EDGE, EDGE, BINS, dtype=torch.float64)
    points = torch.cartesian_prod(at, at)
    pictures, best = {TRUTH: ring_log_density(points)}, at_its_best(trained)
    for name in REAL_CRITERIA:
        theta = view(trained[best[PLANE, name]].result.final, 0)
        pictures[name] = exact_log_likelihood(GAUSSIAN_RBM, theta, points.to(theta.weight.dtype))[0]
    values = {TRUTH: truth_of(rows, "ring"), **small_table(rows, ON_PLANE)["log-likelihood"]}
    figure, panels = pyplot.subplots(1, len(pictures), figsize=(13, 3.6), sharey=True)
    top = math.exp(max(float(log_p.max()) for log_p in pictures.values()))
    for axes, (name, log_p) in zip(panels, pictures.items(), strict=True):
        sheet = log_p.exp().reshape(BINS, BINS).T.numpy()
        image = axes.imshow(sheet, origin="lower", extent=(-EDGE, EDGE) * 2, cmap="Greys", vmin=0, vmax=top)
        axes.set_title(f"{name}\n{values[name]:.2f} nats", fontsize="medium")
        axes.set_xlabel("$x_1$")
        axes.grid(visible=False)
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=panels, label="density", shrink=0.85)
    return figure
