"""The figures of `continuous`: curves and gradient variances, with the reparameterisation beside NVIL's variants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nvil_repro.reproduction.continuous import DEEP, GAUSSIAN, LINEAR
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import STROKES, Stroke, marked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = STROKES | {
    "pathwise": Stroke("Reparameterisation", "#000000", (3, 1, 1, 1, 1, 1), "P"),
    "pathwise_kl": Stroke("Reparameterisation, closed KL", "#E69F00", (6, 1, 2, 1), "X"),
}
NETS = {
    LINEAR: Stroke("NVIL, linear Q", "#E69F00", (5, 1.5), "s"),
    DEEP: Stroke("NVIL, deep Q", "#0072B2", (), "o"),
}


def curves(rows: Sequence[Row], bottom: float = -240.0) -> Figure:
    """Validation bound against updates: left Gaussian latents by every estimator, right bits by either Q.

    Mean and range over seeds; the axis is cut at `bottom`, nats. Diverged rows are left out.
    """
    from matplotlib import pyplot

    table = frame(
        row for row in rows if (row.split, row.metric) == ("valid", "bound") and math.isfinite(row.value)
    )
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.5, 4.2), sharey=True)
    for (model, estimator), curve in table.groupby(["model", "variant"], sort=False):
        stroke, axes = (ALL[estimator], left) if model == GAUSSIAN else (NETS[model], right)
        by_update = curve.groupby("updates")["value"].agg(["mean", "min", "max"])
        thousands = by_update.index / 1000
        axes.plot(
            thousands, by_update["mean"], label=stroke.label, color=stroke.colour, marker=stroke.marker,
            linestyle=(0, stroke.dashes) if stroke.dashes else "-", markevery=marked(len(thousands)),
            markeredgecolor="white",
        )  # fmt: skip
        axes.fill_between(thousands, by_update["min"], by_update["max"], color=stroke.colour, alpha=0.2)
    units = {model: part["dims"].iloc[0] for model, part in table.groupby("model")}
    left.set_title(f"{units[GAUSSIAN]} Gaussian latents")
    right.set_title(f"{units[DEEP]} bits")
    left.set_ylabel("validation bound, nats")
    left.set_ylim(bottom=max(bottom, table["value"].min() - 5))
    for axes in (left, right):
        axes.set_xlabel("parameter updates, thousands")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncol=2, fontsize="small")
    figure.suptitle(_datasets(rows), fontsize="small")
    figure.tight_layout()
    return figure


def variances(rows: Sequence[Row]) -> Figure:
    """Gradient variance of every estimator at equal parameters, a panel a net: median and range over seeds."""
    from matplotlib import pyplot

    table = frame(row for row in rows if row.metric == "gradient_variance")
    models = list(dict.fromkeys(table["model"]))
    present = [name for name in ALL if name in set(table["variant"])]
    figure, panels = pyplot.subplots(1, len(models), figsize=(10.5, 3.2), sharey=True, squeeze=False)
    for model, axes in zip(models, panels[0], strict=True):
        for estimator, points in table[table["model"] == model].groupby("variant", sort=False):
            place, stroke, values = present.index(estimator), ALL[estimator], points["value"]
            axes.plot([values.min(), values.max()], [place, place], color=stroke.colour)
            axes.plot(values.median(), place, marker=stroke.marker, color=stroke.colour, linestyle="none")
        for estimator in set(present) - set(table["variant"][table["model"] == model]):
            axes.text(
                0.5,
                present.index(estimator),
                "does not exist",
                transform=axes.get_yaxis_transform(),
                ha="center",
                va="center",
                fontsize="small",
                color="#56565B",
            )
        axes.set(title=model, xscale="log", yticks=range(len(present)))
        axes.set_yticklabels([ALL[name].label for name in present])
    panels[0][0].invert_yaxis()
    figure.supxlabel(
        f"variance of the gradient, divisor of VN undone, log scale; {_datasets(rows)}", fontsize="small"
    )
    figure.tight_layout()
    return figure


def _datasets(rows: Sequence[Row]) -> str:
    return ", ".join(sorted({row.dataset for row in rows}))
