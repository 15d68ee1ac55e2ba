"""The figures of `partition_results`, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nvil_repro.reproduction.partition_claims import THREE_SIGMA
from nvil_repro.reproduction.partition_methods import ADAPTIVE, EXACT, RAISE, UNIFORM
from nvil_repro.reproduction.partition_results import TRACKED
from nvil_repro.reproduction.partition_tracking import OWN, TRAINING
from nvil_repro.reproduction.partition_views import (
    bracket_lines,
    estimates,
    exact_values,
    longest_estimates,
    reference,
    trial_lines,
)
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import Stroke

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BRACKETS = {
    "log_z": Stroke("AIS, chains that rise", "#0072B2", (), "o"),
    "log_z_reverse": Stroke("reverse AIS, chains that fall", "#D55E00", (5, 1.5), "s"),
    RAISE: Stroke("RAISE, from test cases", "#009E73", (1.5, 1), "^"),
}
CHAINS = {
    TRAINING: Stroke("by the chains that train", "#D55E00", (5, 1.5), "s"),
    OWN: Stroke("by chains of its own", "#0072B2", (), "o"),
}
TRUTH = Stroke("exact", "#000000", (8, 2), "D")
FAR = 30.0  # nats from the exact value, where errors are drawn at most
GOOD, MISSED = "#0072B2", "#D55E00"


def errors(rows: Sequence[Row]) -> Figure:
    """The longest of every estimate: error and interval, cut at `FAR` nats, and how many samples are effective.

    Crosses: the interval misses the exact value.
    """
    from matplotlib import pyplot

    table = longest_estimates(rows)
    table = table[(table["variant"] != EXACT)].iloc[::-1].reset_index(drop=True)
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10.5, 0.36 * len(table) + 1.6), sharey=True, width_ratios=(3, 1)
    )
    for place, line in table.iterrows():
        colour, marker = (GOOD, "o") if line["holds"] else (MISSED, "X")
        low, error, high = (
            _cut(line[name] - line["exact"]) for name in ("log_z_lower", "log_z", "log_z_upper")
        )
        left.plot([low, high], [place, place], color=colour, linewidth=2)
        left.plot(error, place, marker=marker, color=colour, markeredgecolor="white")
        right.plot(max(line["effective_samples"], 0.01), place, marker="D", color="#56565B")
    left.axvline(0, color=TRUTH.colour, linewidth=1)
    left.set_xscale("symlog", linthresh=0.3, linscale=1.5)
    left.set_xlabel("log Z less the exact value, nats")
    left.set_yticks(range(len(table)), [_label(line) for _, line in table.iterrows()])
    right.set_xscale("log")
    right.set_xlabel("effective samples")
    left.set_title(f"{_title(table['dims'], rows)}; cross: the interval misses", loc="left", fontsize="small")
    figure.tight_layout()
    return figure


def _cut(error: float) -> float:
    return max(-FAR, min(FAR, error))


def brackets(rows: Sequence[Row]) -> Figure:
    """log Z against the number of temperatures: machines across, ladders down, seeds as lines of their own.

    Bands are the estimates' intervals. Where log Z is not known, the axis starts from the middle of the longest
    adaptive bracket.
    """
    from matplotlib import pyplot

    ladders, known = (UNIFORM, ADAPTIVE), exact_values(rows)
    machines = list(dict.fromkeys(dims for dims, _ in reference(rows)))
    figure, panels = pyplot.subplots(
        len(ladders), len(machines), figsize=(5.2 * len(machines), 6.4), sharex=True, squeeze=False
    )
    for ladder, across in zip(ladders, panels, strict=True):
        lines = bracket_lines(rows, ladder)
        for dims, axes in zip(machines, across, strict=True):
            for seed, part in lines[lines["dims"] == dims].groupby("seed"):
                _bracket(axes, part)
                if ladder == UNIFORM:
                    _raised(axes, rows, dims, seed)
            exact = any(dims == units for units, _ in known)
            axes.axhline(0, color=TRUTH.colour, linewidth=1)
            zero = "exact" if exact else "middle of the longest adaptive bracket"
            axes.set_title(f"{dims} hidden units, {ladder} ladder; 0: {zero}", fontsize="small")
            axes.set_xscale("log")
            axes.set_yscale("symlog", linthresh=1)
            axes.set_ylabel("nats")
    lengths = sorted(set(bracket_lines(rows)["rungs"]))
    for axes in panels[-1]:
        axes.set_xticks(lengths, [f"{rungs:,}" for rungs in lengths])
        axes.minorticks_off()
        axes.set_xlabel("temperatures")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="lower center", ncol=3)
    figure.suptitle(f"log Z less what is known of it, nats; {_title([], rows)}", fontsize="medium")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    return figure


def _bracket(axes: Any, lines: Any) -> None:
    for name, ends in (("log_z", ""), ("log_z_reverse", "_reverse")):
        low, high = (lines[f"log_z_{end}{ends}"] - lines["reference"] for end in ("lower", "upper"))
        axes.fill_between(lines["rungs"], low, high, color=BRACKETS[name].colour, alpha=0.2, linewidth=0)
        _line(axes, lines["rungs"], lines[name] - lines["reference"], BRACKETS[name])


def _raised(axes: Any, rows: Sequence[Row], dims: str, seed: Any) -> None:
    table = estimates(rows)
    table = table[
        (table["variant"] == RAISE) & (table["dims"] == dims) & (table["seed"] == seed)
    ].sort_values("rungs")
    _line(axes, table["rungs"], table["log_z"] - reference(rows)[dims, seed], BRACKETS[RAISE])


def _line(axes: Any, x: Any, y: Any, stroke: Stroke) -> None:
    axes.plot(
        x, y, label=stroke.label, color=stroke.colour, marker=stroke.marker, markeredgecolor="white",
        linestyle=(0, stroke.dashes) if stroke.dashes else "-",
    )  # fmt: skip


def coverage(rows: Sequence[Row]) -> Figure:
    """How often each interval holds log Z, with the Wilson interval of that share; right, bias and spread.

    The dashed line is how often 3 standard errors of a normal estimate do.
    """
    from matplotlib import pyplot

    lines = trial_lines(rows).iloc[::-1].reset_index(drop=True)
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10.5, 0.4 * len(lines) + 1.6), sharey=True, width_ratios=(3, 2)
    )
    left.hlines(lines.index, lines["coverage_lower"], lines["coverage_upper"], color=GOOD, linewidth=2)
    left.plot(lines["coverage"], lines.index, "o", color=GOOD, markeredgecolor="white")
    left.axvline(THREE_SIGMA, color=TRUTH.colour, linewidth=1, linestyle=(0, (5, 2)))
    left.set_xlim(-0.02, 1.02)
    left.set_xlabel("share of intervals that hold log Z")
    left.set_yticks(lines.index, [_label(line) for _, line in lines.iterrows()])
    right.errorbar(
        lines["bias"], lines.index, xerr=lines["spread"], fmt="s", color=MISSED, markeredgecolor="white"
    )
    right.axvline(0, color=TRUTH.colour, linewidth=1)
    right.set_xscale("symlog", linthresh=1)
    right.set_xlabel("bias ± a trial's spread, nats")
    left.set_title(f"{_title(lines['dims'], rows)}; dashed: 99.7%", loc="left", fontsize="small")
    figure.tight_layout()
    return figure


def tracking(rows: Sequence[Row]) -> Figure:
    """log Z against updates, tracked and exact, a column for each rate; below, what the one strays from the other, with
    its own interval.
    """
    from matplotlib import pyplot

    table = frame(row for row in rows if row.split == TRACKED)
    rates = list(table["protocol"].unique())
    figure, panels = pyplot.subplots(
        2, len(rates), figsize=(5.2 * len(rates), 5.6), sharex=True, sharey="row", height_ratios=(3, 2), squeeze=False
    )  # fmt: skip
    for rate, (above, below) in zip(rates, panels.T, strict=True):
        for _, part in table[table["protocol"] == rate].groupby("seed"):
            _tracked(above, below, part)
        below.axhline(0, color=TRUTH.colour, linewidth=1)
        below.set_xlabel("parameter updates")
        above.set_title(f"{rate} at the start", fontsize="small")
    panels[0, 0].set_ylabel("log Z, nats")
    panels[1, 0].set_ylabel("error, nats")
    handles = dict(zip(*reversed(panels[0, 0].get_legend_handles_labels()), strict=True))
    panels[0, 0].legend(handles.values(), handles.keys(), fontsize="small")
    figure.suptitle(_title(table["dims"], rows), fontsize="medium")
    figure.tight_layout()
    return figure


def _tracked(above: Any, below: Any, lines: Any) -> None:
    wide = lines.pivot_table(index="updates", columns=["variant", "metric"], values="value")
    exact = wide[EXACT, "log_z"].dropna()
    for by, stroke in CHAINS.items():
        _line(above, wide.index, wide[by, "log_z"], stroke._replace(marker=""))
        error = wide[by].loc[exact.index].sub(exact, axis=0)
        below.errorbar(
            exact.index, error["log_z"], yerr=error["log_z_upper"] - error["log_z"], capsize=3,
            color=stroke.colour, marker=stroke.marker, linestyle="none",
        )  # fmt: skip
    above.plot(
        exact.index, exact, TRUTH.marker, color=TRUTH.colour, label=TRUTH.label, markerfacecolor="none"
    )


def _label(line: Any) -> str:
    return f"{line['variant']} ({line['protocol']})" if line["protocol"] else line["variant"]


def _title(dims: Any, rows: Sequence[Row]) -> str:
    data = ", ".join(sorted({row.dataset for row in rows}))
    return ", ".join([*(f"{units} hidden units" for units in dict.fromkeys(dims)), data])
