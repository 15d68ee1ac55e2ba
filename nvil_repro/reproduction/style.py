"""How figures look: colours that colour-blind readers tell apart, and line styles and markers for print."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nvil_repro.learning.nvil import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Stroke(NamedTuple):
    """How one variant is drawn, and its label in the paper's legend."""

    label: str
    colour: str
    dashes: tuple[float, ...]  # on, off, … in line widths; empty: solid
    marker: str


# Okabe & Ito's colours.
STROKES = {
    "full": Stroke(LABELS["full"], "#0072B2", (), "o"),
    "baseline_vn": Stroke(LABELS["baseline_vn"], "#D55E00", (5, 1.5), "s"),
    "baseline": Stroke(LABELS["baseline"], "#009E73", (1.5, 1), "^"),
    "vn": Stroke(LABELS["vn"], "#CC79A7", (5, 1.5, 1.5, 1.5), "D"),
    "none": Stroke(LABELS["none"], "#56565B", (8, 2), "v"),
}

# The ways to train of Tables 1 and 2.
COLUMN_STROKES = {
    "NVIL": Stroke("NVIL", "#0072B2", (), "o"),
    "wake-sleep": Stroke("wake-sleep", "#D55E00", (5, 1.5), "s"),
    "autoregressive Q": Stroke("autoregressive Q", "#009E73", (1.5, 1), "^"),
    "factorial Q": Stroke("factorial Q", "#0072B2", (), "o"),
    "exact": Stroke("exact likelihood", "#56565B", (8, 2), "D"),
}

# Negative phases of undirected models: Okabe & Ito's colours and four of Tol's.
SAMPLER_STROKES = {
    "exact": Stroke("exact", "#000000", (), "o"),
    "naive": Stroke("naive", "#56565B", (8, 2), "v"),
    "CD1": Stroke("CD-1", "#D55E00", (5, 1.5), "s"),
    "CD3": Stroke("CD-3", "#E69F00", (3, 1, 1, 1), "D"),
    "CD10": Stroke("CD-10", "#CC79A7", (5, 1.5, 1.5, 1.5), "H"),
    "CD25": Stroke("CD-25", "#882255", (5, 1, 1, 1, 1, 1), "P"),
    "PCD": Stroke("PCD", "#0072B2", (2.5, 1), "^"),
    "FPCD": Stroke("fast PCD", "#56B4E9", (1.5, 1), "X"),
    "centred PCD": Stroke("centred PCD", "#009E73", (6, 1, 2, 1), "p"),
    "tempered PCD": Stroke("tempered PCD", "#332288", (4, 2), "h"),
}


def marked(points: int) -> int | float:
    """Matplotlib's `markevery`: every point of a short curve has its marker; on a long one they stand apart by an
    eighth of the panel.
    """
    return 1 if points <= 12 else 0.12


def log_x_axis(axes: Axes) -> None:
    """A logarithmic axis of few decades: over less than two, twice and five times a power of ten have labels too, and
    over less than half a decade all its multiples.
    """

    def label(x: float, _: float) -> str:
        low, high = axes.get_xlim()
        digits = (1,) if high > 100 * low else (1, 2, 5) if high > 10**0.5 * low else range(1, 10)
        return f"{x:g}" if int(f"{x:.0e}"[0]) in digits else ""

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(label)
    axes.xaxis.set_minor_formatter(label)


def use_style() -> None:
    """Set seaborn's and matplotlib's defaults for the figures of this project, in a notebook or a script, and have
    pandas show tables whole.
    """
    import matplotlib
    import pandas
    import seaborn

    for length in ("max_rows", "max_columns", "max_colwidth"):
        pandas.set_option(f"display.{length}", None)

    seaborn.set_theme(
        context="notebook", style="ticks", palette=[stroke.colour for stroke in STROKES.values()]
    )
    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "axes.grid": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#e4e4e8",
            "legend.frameon": False,
            "svg.hashsalt": "nvil_repro",  # equal figures, equal bytes
        }
    )
