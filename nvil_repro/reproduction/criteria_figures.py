"""The figures of the criteria without a partition function: curves, gradients, densities on a plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from nvil_repro.data.small_patterns import ring_log_density
from nvil_repro.evaluation.exact_partition import exact_log_likelihood
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM
from nvil_repro.reproduction.criteria_rows import BEST, at_its_best
from nvil_repro.reproduction.criteria_runs import PLANE, REAL_CRITERIA, Cell
from nvil_repro.reproduction.criteria_views import RBM, curves_at_best, gradient_table, mnist_chosen
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import Stroke
from nvil_repro.trees import view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CRITERIA = {
    "exact": Stroke("exact likelihood", "#000000", (), "o"),
    "CD1": Stroke("CD-1", "#E69F00", (5, 1.5), "s"),
    "PCD": Stroke("PCD", "#0072B2", (), "^"),
    "pseudolikelihood": Stroke("pseudolikelihood", "#009E73", (1.5, 1), "D"),
    "generalised pseudolikelihood": Stroke("generalised pseudolikelihood", "#009E73", (8, 2), "P"),
    "ratio matching": Stroke("ratio matching", "#D55E00", (3, 1, 1, 1), "v"),
    "noise contrastive": Stroke("noise-contrastive", "#CC79A7", (), "X"),
    "self-contrastive": Stroke("self-contrastive", "#56B4E9", (5, 1.5, 1.5, 1.5), "<"),
    "minimum probability flow": Stroke("minimum probability flow", "#56565B", (3, 1, 1, 1, 1, 1), ">"),
}
EDGE = 1.7  # of the plane that is drawn
BINS = 120  # a side


def stroke(name: str) -> Stroke:
    """That of a criterion; of one without its own, such as "CD10", a plain one."""
    return CRITERIA.get(name, Stroke(name, "#A6761D", (2, 2), "*"))


def pattern_curves(rows: Sequence[Row]) -> Figure:
    """Exact log-likelihood of bars and stripes by criterion, each at its best rate: against updates and seconds."""
    table, truth = curves_at_best(rows, RBM), _truth(rows, "bars")
    figure = _curves(table, "log-likelihood of bars and stripes, nats", "thousand updates", "seconds")
    for axes in figure.axes:
        axes.axhline(truth, color="#56565B", linewidth=1)
        axes.annotate("the data's own", (1, truth), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize="small")  # fmt: skip
    return figure


def mnist_curves(rows: Sequence[Row]) -> Figure:
    """Validation log-likelihood on MNIST, by a short annealing, of each criterion at its rate of `mnist_chosen`."""
    chosen = mnist_chosen(rows)
    table = frame(
        row
        for row in rows
        if (row.metric, row.split) == ("log_likelihood", "valid")
        and row.dataset.startswith("mnist")
        and row.protocol == chosen.get(row.method)
    )
    return _curves(table, "validation log-likelihood, nats", "thousand updates", "minutes", 60.0)


def _curves(table: Any, label: str, left: str, right: str, unit: float = 1.0) -> Figure:
    """Mean over seeds with a band for their range: left against updates, right against time. The start, the same for
    all and far below, is left out.
    """
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10.5, 4.4), sharey=True)
    table = table[(table["updates"] > 0) & table["value"].notna()]
    for name in [*CRITERIA, *sorted(set(table["method"]) - set(CRITERIA))]:
        curve = table[table["method"] == name]
        if curve.empty:
            continue
        by = curve.groupby("updates")[["value", "seconds"]].agg(["mean", "min", "max"])
        mean, low, high = (by["value"][kind] for kind in ("mean", "min", "max"))
        for axes, x in zip(panels, (by.index / 1000, by["seconds"]["mean"] / unit), strict=True):
            axes.plot(x, mean, label=stroke(name).label, markevery=0.15, **_look(name))
            axes.fill_between(x, low, high, color=stroke(name).colour, alpha=0.15, linewidth=0)
    panels[0].set(xlabel=left, ylabel=label)
    panels[1].set(xlabel=f"{right} of training, logarithmic", xscale="log")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncol=5, fontsize="small")
    figure.tight_layout()
    return figure


def _look(name: str) -> dict[str, Any]:
    mine = stroke(name)
    return {
        **{"color": mine.colour, "marker": mine.marker, "markeredgecolor": "white", "markersize": 7},
        "linestyle": (0, mine.dashes) if mine.dashes else "-",
    }


def gradients(rows: Sequence[Row]) -> Figure:
    """Along the way to the trained machine, the angle of each criterion's expected gradient to the exact one, and its
    noise in its own lengths; and what it takes.
    """
    from matplotlib import pyplot

    table = gradient_table(rows)
    names = [name for name in CRITERIA if name in set(table["method"])]
    names += sorted(set(table["method"]) - set(names))
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4.2))
    labels = {
        "gradient_cosine": "cosine of the angle to the exact gradient",
        "gradient_noise": "noise / length",
    }
    for axes, (metric, label) in zip(panels, labels.items(), strict=False):
        for name in names:
            part = table[(table["metric"] == metric) & (table["method"] == name)].sort_values("way")
            axes.plot(part["way"], part["value"], label=stroke(name).label, **_look(name))
        axes.set(xlabel="way from a fresh machine to the trained one", ylabel=label)
    panels[1].set_yscale("log")
    _times(panels[2], table, names)
    handles, told = panels[0].get_legend_handles_labels()
    figure.legend(handles, told, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncol=5, fontsize="small")
    figure.tight_layout()
    return figure


def _times(axes: Axes, table: Any, names: Sequence[str]) -> None:
    """Milliseconds of a gradient, a line a criterion."""
    seconds = table[table["metric"] == "gradient_seconds"].groupby("method")["value"].median()
    for place, name in enumerate(names):
        look = _look(name) | {"linestyle": "none"}
        axes.plot(1000 * seconds[name], place, **look)
    axes.set(xlabel="milliseconds a gradient, torch, one thread", xscale="log", yticks=range(len(names)))
    axes.set_yticklabels([stroke(name).label for name in names], fontsize="small")
    axes.invert_yaxis()


def densities(trained: Mapping[Cell, Measured], rows: Sequence[Row]) -> Figure:
    """Densities on the plane on one scale: that of the ring of bumps, and the first seed's machines by criterion."""
    from matplotlib import pyplot

    at = torch.linspace(-EDGE, EDGE, BINS, dtype=torch.float64)
    points = torch.cartesian_prod(at, at)
    pictures = {"the truth": ring_log_density(points)}
    best = at_its_best(trained)
    for name in REAL_CRITERIA:
        theta = view(trained[best[PLANE, name]].result.final, 0)
        pictures[name] = exact_log_likelihood(GAUSSIAN_RBM, theta, points.to(theta.weight.dtype))[0]
    figure, panels = pyplot.subplots(1, len(pictures), figsize=(13, 3.6), sharey=True)
    top = math.exp(max(float(log_p.max()) for log_p in pictures.values()))
    for axes, (name, log_p) in zip(panels, pictures.items(), strict=True):
        image = axes.imshow(
            log_p.exp().reshape(BINS, BINS).T, origin="lower", extent=(-EDGE, EDGE) * 2, cmap="Greys", vmin=0, vmax=top
        )  # fmt: skip
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("$x_1$")
        axes.grid(visible=False)
    panels[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=panels, label="density", shrink=0.85)
    return figure


def _truth(rows: Sequence[Row], dataset: str) -> float:
    (value,) = (row.value for row in rows if row.metric == BEST and row.dataset.startswith(dataset))
    return value
