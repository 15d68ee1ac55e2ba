"""Figures from rows and from weights. Each returns a matplotlib figure; `save_figure` publishes it."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from nvil_repro.files import write_atomic
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import STROKES, marked

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from nvil_repro.reproduction.notebook import Run


def save_figure(figure: Figure | None, name: str, run: Run) -> Path:
    """Save `figure` as SVG and PNG in the run's `figures` folder; returns the SVG's path. None, where not all nets it
    would show are here: the picture in the folder `run.keep` is taken over as it is, and shown.

    Errors: `ValueError` if the experiment declares no figure `name`, or there is nothing to show.
    """
    declared = [entry.name for entry in run.experiment.figures]
    if name not in declared:
        raise ValueError(f'{run.experiment.name} has no figure "{name}"; declared: {", ".join(declared)}')
    pictures = _kept_pictures(name, run) if figure is None else _drawn_pictures(figure)
    for kind, picture in pictures.items():
        path = write_atomic(run.results_dir / "figures" / f"{name}.{kind}", picture)
    return path


def _drawn_pictures(figure: Figure) -> dict[str, bytes]:
    pictures = {}
    for kind in ("png", "svg"):
        picture = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(picture, format=kind, bbox_inches="tight", facecolor="white", metadata=metadata)
        pictures[kind] = picture.getvalue()
    return pictures


def _kept_pictures(name: str, run: Run) -> dict[str, bytes]:
    from IPython.display import Image, display

    if run.keep is None:
        raise ValueError(f"there is nothing to show in the figure {name}: no net of this kind was trained")
    pictures = {kind: (run.keep / "figures" / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")}
    print("The picture that is kept, since not all of its nets are here:")
    display(Image(pictures["png"]))
    return pictures


def learning_curves(
    rows: Sequence[Row], metric: str = "bound", split: str = "valid", bottom: float | None = -240.0
) -> Figure:
    """A panel per network (and protocol, downwards), a curve per variant, a band over the range of its seeds.

    `bottom` cuts the axis as Figure 1 does, nats. Diverged rows are left out; the title says on which data.
    """
    import seaborn

    chosen = [row for row in rows if row.metric == metric and row.split == split and math.isfinite(row.value)]
    _need(chosen, f"{metric} on {split}")
    table = frame(chosen)
    table["thousands"] = table["updates"] / 1000
    present = [name for name in STROKES if name in set(table["variant"])]
    grid = seaborn.relplot(
        table,
        kind="line",
        x="thousands",
        y="value",
        col="dims",
        row="protocol" if table["protocol"].nunique() > 1 else None,
        hue="variant",
        style="variant",
        hue_order=present,
        style_order=present,
        palette={name: STROKES[name].colour for name in present},
        dashes={name: STROKES[name].dashes for name in present},
        markers={name: STROKES[name].marker for name in present},
        markevery=marked(table["updates"].nunique()),
        markeredgecolor="white",
        errorbar=("pi", 100),
        height=3.9,
        aspect=1.15,
    )
    _title(grid)
    grid.set_axis_labels("parameter updates, thousands", f"{_SPLITS.get(split, split)} {metric}, nats")
    if bottom is not None and table["value"].max() > bottom:
        grid.set(ylim=(max(bottom, table["value"].min() - 5), None))
    for text in grid.legend.texts:
        text.set_text(STROKES[text.get_text()].label)
    _legend_below(grid, table)
    return grid.figure


def _title(grid: Any) -> None:
    grid.set_titles("SBN {col_name}" + ", {row_name} protocol" * bool(grid.row_names))


def _legend_below(grid: Any, table: pandas.DataFrame) -> None:
    """The legend in one line under the panels, titled with the data set."""
    import seaborn

    seaborn.move_legend(
        grid,
        "upper center",
        bbox_to_anchor=(0.5, 0.02),
        ncol=len(STROKES),
        title=_datasets(table),
        columnspacing=1.2,
    )
    grid.figure.tight_layout()


def _datasets(table: pandas.DataFrame) -> str:
    return ", ".join(sorted(table["dataset"].unique()))


_SPLITS = {"valid": "validation", "train": "training"}


def variance_points(
    rows: Sequence[Row], metric: str = "gradient_variance", label: str = "gradient variance"
) -> Figure:
    """The measured variance of each variant's gradient, a panel per network: median and range over seeds."""
    import seaborn

    chosen = [row for row in rows if row.metric == metric and math.isfinite(row.value)]
    _need(chosen, metric)
    table = frame(chosen)
    present = [name for name in STROKES if name in set(table["variant"])]
    table["variant"] = table["variant"].map({name: STROKES[name].label for name in present})
    grid = seaborn.catplot(
        table,
        kind="point",
        x="value",
        y="variant",
        col="dims",
        row="protocol" if table["protocol"].nunique() > 1 else None,
        hue="variant",
        order=[STROKES[name].label for name in present],
        hue_order=[STROKES[name].label for name in present],
        palette=[STROKES[name].colour for name in present],
        markers=[STROKES[name].marker for name in present],
        linestyles="none",
        estimator="median",
        errorbar=("pi", 100),
        log_scale=(True, False),
        legend=False,
        height=2.9,
        aspect=1.4,
    )
    grid.set_axis_labels("", "")
    grid.figure.supxlabel(f"{label}, log scale; {_datasets(table)}")
    _title(grid)
    return grid.figure


def variance_curves(rows: Sequence[Row]) -> Figure:
    """Gradient variance along training, from rows `layer_1_gradient_variance` and so on: a panel a layer, a curve a
    variant; both axes logarithmic but that update 0 is drawn, and labelled, at the left edge.
    """
    import seaborn

    chosen = [
        row
        for row in rows
        if row.metric.endswith("_gradient_variance")
        and row.metric.startswith("layer_")
        and math.isfinite(row.value)
    ]
    _need(chosen, "gradient variance along training")
    table = frame(chosen)
    ticks = _ticks(table["updates"])
    table["updates"] = table["updates"].clip(lower=min(ticks))
    layer = table["metric"].str.extract(r"layer_(\d+)_")[0]
    table["panel"] = "SBN " + table["dims"] + ", layer " + layer + ", " + table["protocol"]
    present = [name for name in STROKES if name in set(table["variant"])]
    grid = seaborn.relplot(
        table, kind="line", x="updates", y="value", col="panel", col_wrap=min(3, table["panel"].nunique()),
        hue="variant", style="variant", hue_order=present, style_order=present,
        palette={name: STROKES[name].colour for name in present},
        dashes={name: STROKES[name].dashes for name in present},
        markers={name: STROKES[name].marker for name in present},
        markeredgecolor="white", height=2.9, aspect=1.25, facet_kws={"sharey": False},
    )  # fmt: skip
    grid.set(xscale="log", yscale="log")
    for axes in grid.axes.flat:
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_xticks([], minor=True)
    grid.set_titles("{col_name}")
    grid.set_axis_labels("parameter updates", "gradient variance,\ndivisor of VN undone")
    for text in grid.legend.texts:
        text.set_text(STROKES[text.get_text()].label)
    _legend_below(grid, table)
    return grid.figure


def _ticks(updates: Iterable[int]) -> dict[float, str]:
    """Of a logarithmic axis: the first update, powers of ten and, left of them, one for update 0 if there is any."""
    known = sorted(set(updates))
    later = [update for update in known if update] or [1]
    powers = range(math.ceil(math.log10(later[0])), math.floor(math.log10(later[-1])) + 1)
    ticks = {float(at): f"{at:,}" for at in (later[0], *(10**power for power in powers))}
    if known[0]:
        return ticks
    return {later[0] / 3: "0"} | (ticks if known[-1] else {})


def filters(weights: Any, dataset: str, shape: tuple[int, int] = (28, 28), columns: int = 20) -> Figure:
    """Weights [H, D] of the visible layer, a picture a hidden unit; red positive, blue negative."""
    pictures = _pictures(weights, shape)
    limit = float(numpy.quantile(numpy.abs(pictures), 0.995)) or 1.0
    return _grid(pictures, columns, f"learned from {dataset}", cmap="RdBu_r", vmin=-limit, vmax=limit)


def image_grid(images: Any, dataset: str, shape: tuple[int, int] = (28, 28), columns: int = 10) -> Figure:
    """Images [N, D] with values from 0 (white) to 1 (ink)."""
    return _grid(
        _pictures(images, shape), columns, f"learned from {dataset}", cmap="Greys", vmin=0.0, vmax=1.0
    )


def _pictures(values: Any, shape: tuple[int, int]) -> numpy.ndarray:
    array = numpy.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    if array.ndim != 2 or array.shape[1] != shape[0] * shape[1] or not len(array):
        raise ValueError(
            f"expected an array [N, {shape[0] * shape[1]}] of pictures {shape}, got shape {list(array.shape)}"
        )
    return array.reshape(-1, *shape)


def _grid(pictures: numpy.ndarray, columns: int, title: str, **colours: Any) -> Figure:
    """Pictures side by side in one axis, with a hair of space between."""
    from matplotlib import pyplot

    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures.shape[1] + 2, pictures.shape[2] + 2
    sheet = numpy.full((rows * height, columns * width), numpy.nan)
    for index, picture in enumerate(pictures):
        top, left = height * (index // columns) + 1, width * (index % columns) + 1
        sheet[top : top + height - 2, left : left + width - 2] = picture
    inches = 9.0 / (columns * width)
    figure, axes = pyplot.subplots(figsize=(9.0, rows * height * inches))
    axes.imshow(sheet, interpolation="nearest", **colours)
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize="small")
    return figure


def _need(rows: Sequence[Row], what: str) -> None:
    if not rows:
        raise ValueError(f"no finite rows of {what} to draw")
