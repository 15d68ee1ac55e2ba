"""Pictures of the tables: every number beside the paper's, learning curves, and what the nets learned."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import COLUMN_STROKES, log_x_axis
from nvil_repro.reproduction.table_views import trained_by
from nvil_repro.reproduction.update_times import MILLISECONDS

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class Look(NamedTuple):
    """How what was trained under a protocol is drawn, besides the colour and marker of its column."""

    width: float = 2.2  # of lines
    opacity: float = 1.0  # of points
    size: float = 7.0  # likewise


LOOKS = {
    "patient": Look(width=3.4, size=10.0),
    "balanced": Look(),
    "": Look(),
    "quick": Look(width=1.6, size=5.0),
    "literal": Look(width=1.0, opacity=0.4),
}


def table_points(summary: pandas.DataFrame) -> Figure:
    """`table_views.summary` as points: a line a model, a colour and marker each way to train; printed numbers are
    crosses, ours filled, our importance-weighted estimates hollow, each protocol by its size or paleness (`LOOKS`).
    """
    from matplotlib import pyplot

    models = list(dict.fromkeys(summary["model"]))
    columns = [name for name in COLUMN_STROKES if name in set(summary["trained by"])]
    offsets = dict(zip(columns, numpy.linspace(-0.15, 0.15, len(columns)), strict=True))
    figure, axes = pyplot.subplots(figsize=(8, 1.0 + 0.6 * len(models)))
    for line in summary.to_dict("records"):
        stroke, look = COLUMN_STROKES[line["trained by"]], _points(line["protocol"])
        y = models.index(line["model"]) + offsets[line["trained by"]]
        axes.plot(line["paper"], y, "x", color=stroke.colour, markersize=13, markeredgewidth=2)
        look |= {"color": stroke.colour, "zorder": 3 - look["markersize"] / 100}  # smaller ones above
        filled, hollow = look | {"markeredgecolor": "white"}, look | {"fillstyle": "none"}
        axes.errorbar(line["ours"], y, xerr=line["stderr"], fmt=stroke.marker, **filled)
        axes.plot(line["importance-weighted"], y, stroke.marker, **hollow)
    axes.set_yticks(range(len(models)), models)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xlabel("test bound, nats: lower is better")
    axes.legend(
        handles=_keys(columns, set(summary["protocol"])), loc="upper left", bbox_to_anchor=(1.01, 1.0)
    )
    return figure


def _points(protocol: str) -> dict[str, Any]:
    look = LOOKS[protocol]
    return {"markersize": look.size, "alpha": look.opacity}


def _keys(columns: Sequence[str], protocols: Collection[str]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    strokes = [COLUMN_STROKES[name] for name in columns]
    plain: dict[str, Any] = {"color": "#56565B", "linestyle": ""}
    keys = [Line2D([], [], color=s.colour, marker=s.marker, linestyle="", label=s.label) for s in strokes]
    keys += [Line2D([], [], marker="x", markeredgewidth=2, label="printed", **plain)]
    for name in (name for name in LOOKS if name and name in protocols):
        keys += [Line2D([], [], marker="o", label=f"ours, {name}", **plain, **_points(name))]
    return [*keys, Line2D([], [], marker="o", fillstyle="none", label="importance-weighted", **plain)]


def table_curves(rows: Sequence[Row], x: str = "updates") -> Figure:
    """Validation bound of every net, a panel a model, a colour and dash each way to train, a width a protocol; a band
    for the range over seeds. `x` is "updates" (in thousands) or "minutes" (of training on one thread, log: updates
    times what `update_times` measured of one). The first tenth of a training may lie below the panel.
    """
    import seaborn

    chosen = [
        row for row in rows if row.split == "valid" and row.metric == "bound" and math.isfinite(row.value)
    ]
    if not chosen:
        raise ValueError("no finite validation bounds to draw")
    table = frame(chosen)
    table["network"] = table["model"] + " " + table["dims"]
    table["trained by"] = [trained_by(row) for row in chosen]
    unit, label = _AXES[x]
    if x == "minutes":
        costs = {_net(row): row.value for row in rows if row.metric == MILLISECONDS}
        if missing := {_net(row) for row in chosen} - costs.keys():
            raise ValueError(
                f"no {MILLISECONDS} of {' '.join(min(missing))}: time it by update_times.time_updates"
            )
        table[x] = table["updates"] * [costs[_net(row)] / 60_000 for row in chosen]
    net = table.groupby(["network", "trained by", "protocol", "seed"], dropna=False)
    late = table[table["updates"] >= net["updates"].transform("max") / 10]
    table[label] = table[x] / unit
    table = table[table["updates"] > 0]
    columns = [name for name in COLUMN_STROKES if name in set(table["trained by"])]
    grid = seaborn.relplot(
        table,
        kind="line",
        x=label,
        y="value",
        col="network",
        col_wrap=min(4, table["network"].nunique()),
        hue="trained by",
        hue_order=columns,
        palette={name: COLUMN_STROKES[name].colour for name in columns},
        style="trained by",
        style_order=columns,
        dashes={name: COLUMN_STROKES[name].dashes for name in columns},
        size="protocol",
        sizes={name: look.width for name, look in LOOKS.items()},
        errorbar=("pi", 100),
        height=2.7,
        aspect=1.15,
    )
    grid.set_titles("{col_name}")
    grid.set_axis_labels("", "validation bound, nats")
    grid.figure.supxlabel(label, fontsize="medium")
    grid.set(ylim=(late["value"].min() - 2, table["value"].max() + 2))
    if x == "minutes":
        for axes in grid.axes.flat:
            log_x_axis(axes)
    return grid.figure


_AXES = {
    "updates": (1000.0, "parameter updates, thousands"),
    "minutes": (1.0, "minutes of one thread, log scale"),
}


def _net(row: Row) -> tuple[str, ...]:
    return row.model, row.dims, trained_by(row), row.protocol


def galleries(pictures: Mapping[str, Any], title: str, signed: bool = False) -> Figure | None:
    """A line of images [N, 28 * 28] beside each name: probabilities from white to ink or, `signed`, red positive and
    blue negative on one scale. None of no pictures.
    """
    from matplotlib import pyplot

    if not pictures:
        return None
    colours: dict[str, Any] = {"cmap": "Greys", "vmin": 0.0, "vmax": 1.0}
    if signed:
        limit = float(numpy.quantile(numpy.abs(numpy.concatenate(list(pictures.values()))), 0.995)) or 1.0
        colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure, axes = pyplot.subplots(len(pictures), 1, figsize=(9, 0.72 * len(pictures) + 0.3), squeeze=False)
    for (name, images), axis in zip(pictures.items(), axes[:, 0], strict=True):
        array = numpy.asarray(images, dtype=float).reshape(len(images), 28, 28)
        sheet = numpy.pad(array, ((0, 0), (1, 1), (1, 1)), constant_values=numpy.nan)
        axis.imshow(numpy.concatenate(list(sheet), 1), interpolation="nearest", **colours)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize="small")
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.suptitle(title, fontsize="medium")
    return figure


def matrices(weights: Mapping[str, Any]) -> Figure | None:
    """Square matrices side by side, red positive and blue negative, on one scale. None of no matrices."""
    from matplotlib import pyplot

    if not weights:
        return None
    arrays = {name: numpy.asarray(matrix, dtype=float) for name, matrix in weights.items()}
    limit = max(float(numpy.quantile(numpy.abs(array), 0.999)) for array in arrays.values()) or 1.0
    figure, axes = pyplot.subplots(1, len(arrays), figsize=(3.2 * len(arrays), 3.2), squeeze=False)
    for (name, array), axis in zip(arrays.items(), axes[0], strict=True):
        picture = axis.imshow(array, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.set_title(name, fontsize="medium")
        axis.set_xlabel("unit that listens")
        axis.grid(False)
    axes[0, 0].set_ylabel("unit that speaks")
    figure.colorbar(picture, ax=axes[0].tolist(), shrink=0.7)
    return figure
