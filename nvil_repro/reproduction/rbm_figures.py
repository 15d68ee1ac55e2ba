"""The figures of `rbm_training`: phases on a line, patterns, wrong states, curves and brackets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from nvil_repro.reproduction.published import Published
from nvil_repro.reproduction.rbm_claims import bracket, headlines
from nvil_repro.reproduction.rbm_line import Moment
from nvil_repro.reproduction.rbm_measurements import AIS, RAISE, REVERSE
from nvil_repro.reproduction.rbm_patterns import WrongState
from nvil_repro.reproduction.rbm_spurious import METRIC
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import SAMPLER_STROKES, Stroke, log_x_axis, marked
from nvil_repro.training.progress import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA, MODEL, GREY = "#0072B2", "#D55E00", "#56565B"

OTHER = Stroke("", "#999933", (1, 1), "*")  # of any other name


def sampler_stroke(name: str) -> Stroke:
    """How the machines of a negative phase are drawn: in its colour, solid if they have a length of their own.

    Two such lengths are told apart by their labels alone.
    """
    kind, _, length = name.partition(", ")
    stroke = SAMPLER_STROKES.get(kind, OTHER._replace(label=kind))
    return stroke._replace(label=f"{stroke.label}, {length}", dashes=()) if length else stroke


def shown_live(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Pass moments on; where someone watches, in an open notebook, draw each as it comes."""
    from matplotlib import pyplot

    watched, handle = Progress(0).style == "bar", None
    for moment in moments:
        if watched:
            from IPython.display import display

            figure, axes = pyplot.subplots(figsize=(6, 3.2))
            _densities(axes, moment)
            axes.legend(loc="upper right", fontsize="small")
            if handle is None:
                handle = display(figure, display_id=True)
            else:
                handle.update(figure)
            pyplot.close(figure)
        yield moment


def phases(moments: Sequence[Moment], panels: int = 6) -> Figure:
    """Density of data and of model along the line at `panels` moments, spread by how far the model still is."""
    from matplotlib import pyplot

    chosen = _milestones(moments, panels)
    columns = math.ceil(len(chosen) / 2)
    figure, grid = pyplot.subplots(
        2, columns, figsize=(3.3 * columns, 5.2), sharex=True, sharey=True, squeeze=False
    )
    for moment, axes in zip(chosen, grid.flat, strict=False):
        _densities(axes, moment)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, -0.05), ncol=4, fontsize="small")
    figure.supxlabel("place on the line", fontsize="small")
    figure.supylabel("probability of a place", fontsize="small")
    figure.tight_layout()
    return figure


def _milestones(moments: Sequence[Moment], count: int) -> list[Moment]:
    """The first and the last, and between them those whose divergence is nearest to even steps of its logarithm."""
    steps = numpy.geomspace(moments[0].divergence, moments[-1].divergence, count)
    logs = numpy.log([moment.divergence for moment in moments])
    places = {int(numpy.abs(logs - math.log(step)).argmin()) for step in steps[1:-1]}
    return [moments[i] for i in sorted(places | {0, len(moments) - 1})]


def _densities(axes: Axes, moment: Moment) -> None:
    data, model = moment.data.numpy(), moment.model.numpy()
    places = numpy.arange(len(data))
    axes.plot(places, data, color=DATA, label="data")
    axes.plot(places, model, color=MODEL, linestyle=(0, (4, 1.5)), label="model")
    shade: dict[str, Any] = {"alpha": 0.3, "linewidth": 0, "interpolate": True}
    axes.fill_between(places, model, data, where=data > model, color=DATA, label="data push up", **shade)
    axes.fill_between(
        places, model, data, where=data < model, color=MODEL, hatch="////", label="samples push down", **shade
    )
    axes.set_title(
        f"update {moment.update:,}\nKL {moment.divergence:.3f} nats, |gradient| {moment.gradient:.3f}",
        fontsize="small",
    )


def pattern_curves(rows: Sequence[Row], best: float) -> Figure:
    """Exact log-likelihood of the patterns against updates: mean and range over seeds, and what is attainable."""
    from matplotlib import pyplot

    table = frame(row for row in rows if (row.split, row.metric) == ("train", "log_likelihood"))
    figure, axes = pyplot.subplots(figsize=(8, 4.4))
    _curves(axes, table, "updates", 1000.0)
    axes.axhline(best, color=GREY, linewidth=1)
    axes.annotate(
        "the data's own distribution", (0, best), xytext=(3, 3), textcoords="offset points", fontsize="small"
    )
    axes.set_xlabel("parameter updates, thousands")
    axes.set_ylabel("log-likelihood, nats")
    axes.set_title(f"{_datasets(table)}, {table['dims'].iloc[0]} hidden units", fontsize="medium")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def spurious_modes(rows: Sequence[Row], wrong: Mapping[str, Sequence[WrongState]], side: int) -> Figure:
    """Left the mass around the planted mode while the machines learn, mean and range over seeds; right the likeliest
    modes that are no pattern at the end, of the first seed, their probabilities in per cent.
    """
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    table = frame(row for row in rows if row.metric == METRIC)
    columns = max(6, *(len(states) for states in wrong.values()))  # at least: small pictures, side by side
    figure = pyplot.figure(figsize=(12, 0.55 * len(wrong) + 2.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.25), squeeze=False)[0]
    axes = left.subplots()
    left.subplots_adjust(bottom=0.18, left=0.16, right=0.98)
    _curves(axes, table, "updates", 1.0)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("parameter updates, log scale from 1 on")
    axes.set_ylabel("probability around the planted mode")
    axes.legend(fontsize="x-small")
    grid = right.subplots(len(wrong), columns, squeeze=False)
    right.subplots_adjust(left=0.2, top=0.86, hspace=0.6)
    right.suptitle("likeliest modes that are no pattern, per cent", fontsize="small")
    for (name, states), line in zip(wrong.items(), grid, strict=True):
        for cell in line:
            cell.set_axis_off()
        where: dict[str, Any] = {"transform": line[0].transAxes, "va": "center", "fontsize": "small"}
        line[0].text(-0.3, 0.5, sampler_stroke(name).label, ha="right", **where)
        for (state, probability), cell in zip(states, line, strict=False):
            cell.imshow(state.reshape(side, side).numpy(), cmap="Greys", vmin=0, vmax=1)
            cell.set_title(f"{100 * probability:.2g}", fontsize="x-small", pad=2)
            cell.add_patch(Rectangle((-0.5, -0.5), side, side, fill=False, color=GREY))
        if not states:
            line[0].text(0.0, 0.5, "none", **where)
    return figure


def machine_curves(rows: Sequence[Row], hidden: int) -> Figure:
    """Validation log-likelihood of the machines with `hidden` units, by updates and by minutes of one thread."""
    from matplotlib import pyplot

    table = frame(
        row
        for row in rows
        if (row.split, row.metric, row.model, row.dims) == ("valid", "log_likelihood", "RBM", str(hidden))
    )
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    table = table[table["updates"] > 0]
    _curves(left, table, "updates", 1000.0)
    _curves(right, table, "seconds", 60.0)
    left.set_xlabel("parameter updates, thousands")
    right.set_xlabel("minutes of one thread, log scale")
    log_x_axis(right)
    left.set_ylabel("validation log-likelihood by a short AIS, nats")
    figure.suptitle(f"{_datasets(table)}, {hidden} hidden units", fontsize="medium")
    right.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def _curves(axes: Axes, table: Any, x: str, unit: float) -> None:
    """The mean over seeds, a band for their range; by methods."""
    for name, curve in table.groupby("method", sort=False):
        stroke, by = sampler_stroke(str(name)), curve.groupby("updates")
        at, value = by[x].mean() / unit, by["value"].agg(["mean", "min", "max"])
        axes.plot(
            at, value["mean"], label=stroke.label, color=stroke.colour, marker=stroke.marker, markersize=5,
            markevery=marked(len(at)), markeredgecolor="white", linestyle=(0, stroke.dashes) if stroke.dashes else "-",
        )  # fmt: skip
        axes.fill_between(at, value["min"], value["max"], color=stroke.colour, alpha=0.15, linewidth=0)


def brackets(rows: Sequence[Row], published: Sequence[Published]) -> Figure:
    """Test log-likelihood of every RBM: a bar from the reverse estimate to that of AIS, each with its interval
    outwards; a point in the middle or, filled, where it is exact; RAISE; crosses for printed numbers.
    """
    from matplotlib import pyplot

    lines = [row for row in headlines(rows) if row.metric == "log_likelihood" and math.isfinite(row.value)]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.5 * len(lines)))
    for y, row in enumerate(lines):
        stroke, of = sampler_stroke(row.method), _variants(row, rows)
        low, high = bracket(row, rows)
        axes.plot([low, high], [y, y], color=stroke.colour, linewidth=1)
        axes.plot([of[REVERSE].value, of[AIS].value], [y, y], color=stroke.colour, linewidth=6, alpha=0.4)
        filled = "full" if row.note == "exact" else "none"
        axes.plot(row.value, y, stroke.marker, color=stroke.colour, markersize=8, fillstyle=filled)
        if RAISE in of:
            axes.errorbar(of[RAISE].value, y, xerr=of[RAISE].stderr, fmt="<", color=GREY, markersize=6)
        for number in published:
            if number.matches(row) and number.published is not None:
                axes.plot(
                    number.sign * number.published, y, "x", color="black", markersize=9, markeredgewidth=2
                )
    axes.set_yticks(
        range(len(lines)), [f"RBM {row.dims}, {sampler_stroke(row.method).label}" for row in lines]
    )
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel(f"test log-likelihood, nats: higher is better; {_datasets(frame(lines))}")
    axes.legend(handles=_keys(), loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small")
    return figure


def _variants(row: Row, rows: Sequence[Row]) -> dict[str, Row]:
    key = (row.split, row.metric, row.model, row.dims, row.method, row.seed)
    return {r.variant: r for r in rows if (r.split, r.metric, r.model, r.dims, r.method, r.seed) == key}


def _keys() -> list[Any]:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"color": GREY, "linestyle": ""}
    return [
        Line2D([], [], color=GREY, linewidth=6, alpha=0.4, label="reverse AIS to AIS"),
        Line2D([], [], color=GREY, linewidth=1, label="with their intervals"),
        Line2D([], [], marker="o", fillstyle="none", label="the middle", **look),
        Line2D([], [], marker="o", label="exact", **look),
        Line2D([], [], marker="<", label="RAISE", **look),
        Line2D([], [], marker="x", markeredgewidth=2, color="black", linestyle="", label="printed"),
    ]


def _datasets(table: Any) -> str:
    return ", ".join(sorted(table["dataset"].unique()))
