"""Pictures of Table 3: every system beside the paper's, each relative to its unigram, and the curves of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from nvil_repro.reproduction.compare import NOT_RUN
from nvil_repro.reproduction.document_systems import PER_DOCUMENT
from nvil_repro.reproduction.document_table import HEADLINES
from nvil_repro.reproduction.naming import GIBBS, GIBBS_LDA, UNIGRAM
from nvil_repro.reproduction.results import Row, frame
from nvil_repro.reproduction.style import Stroke, log_x_axis, marked

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

# Okabe & Ito's colours, by kind of system.
SYSTEMS = {
    "SBN": Stroke("SBN, NVIL", "#0072B2", (), "o"),
    "fDARN": Stroke("fDARN, NVIL", "#56B4E9", (5, 1.5), "P"),
    "DocNADE": Stroke("DocNADE", "#009E73", (1.5, 1), "^"),
    "Replicated softmax": Stroke("replicated softmax", "#D55E00", (5, 1.5, 1.5, 1.5), "s"),
    "LDA": Stroke("LDA", "#CC79A7", (8, 2), "D"),
    GIBBS_LDA: Stroke("LDA, Gibbs sampling", "#E69F00", (3, 1, 1, 1), "v"),
}
GREY = "#56565B"
ALPHA = {"literal": 0.25, "literal-rcv1": 0.55}


def perplexity_points(summary: pandas.DataFrame) -> Figure:
    """`document_views.summary` as points: a panel a corpus, a line a system; perplexity over that of the unigram model,
    logarithmic. Crosses are printed numbers over the printed unigram; ours are pale under the literal protocols and
    hollow where they are not what the paper measures: importance-weighted, or averaged over orders.
    """
    from matplotlib import pyplot
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullFormatter

    table = summary[(summary["system"] != UNIGRAM) & (summary["note"] != NOT_RUN)]
    table = table.assign(
        place=table["system"].where(table["protocol"] != GIBBS, table["system"] + f", {GIBBS}")
    )
    corpora, systems = (list(dict.fromkeys(table[name])) for name in ("corpus", "place"))
    size = (1.6 + 3.0 * len(corpora), 1.2 + 0.45 * len(systems))
    figure, panels = pyplot.subplots(1, len(corpora), figsize=size, sharey=True, squeeze=False)
    for corpus, axes in zip(corpora, panels[0], strict=True):
        for line in table[table["corpus"] == corpus].to_dict("records"):
            kind, y = line["system"].rpartition(" ")[0], systems.index(line["place"])
            printed_kind = line["log P is"] == HEADLINES[kind]
            stroke = _stroke(kind, line["protocol"])
            look = {**_look(line["protocol"], printed_kind), "color": stroke.colour}
            axes.plot(line["paper / unigram"], y, **CROSS)
            axes.plot(line["ours / unigram"], y, stroke.marker, **look)
        axes.set_title(corpus, fontsize="medium")
        axes.set_xscale("log")
        ticks = [
            t for t in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if axes.get_xlim()[0] < t < axes.get_xlim()[1]
        ]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[0, 0].set_yticks(range(len(systems)), systems)
    panels[0, 0].set_ylim(len(systems) - 0.5, -0.5)
    figure.supxlabel("test perplexity / unigram's: lower is better", fontsize="medium")
    keys = {"printed": CROSS} | {
        name: {"color": GREY, "marker": "o", "linestyle": "", **_look(protocol, printed_kind)}
        for name, protocol, printed_kind in (
            ("ours", "", True),
            ("importance-weighted, or all orders", "", False),
            ("at 20 Newsgroups' printed rates", "literal", True),
            ("at RCV1's", "literal-rcv1", True),
        )
    }
    handles = [Line2D([], [], label=name, **key) for name, key in keys.items()]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncol=3, fontsize="small")
    figure.tight_layout()
    return figure


CROSS: dict[str, Any] = {
    "color": GREY,
    "marker": "x",
    "linestyle": "",
    "markersize": 9,
    "markeredgewidth": 2,
}


def _stroke(kind: str, protocol: str) -> Stroke:
    return SYSTEMS[GIBBS_LDA if protocol == GIBBS else kind]


def _look(protocol: str, printed_kind: bool) -> dict[str, Any]:
    return {
        "alpha": ALPHA.get(protocol, 1.0),
        "fillstyle": "full" if printed_kind else "none",
        "markersize": 8,
    }


def perplexity_curves(rows: Sequence[Row], passes: Mapping[tuple[str, str, str], float]) -> Figure:
    """Validation perplexity per document along training, a panel a corpus, against passes over its training documents,
    of which an update makes `document_table.passes_an_update`; mean over seeds, thin and pale under the literal
    protocols, hollow for a further size of the same system. A dotted line is the unigram model's test perplexity; what
    lies more than a tenth above it is cut off.
    """
    from matplotlib import pyplot

    chosen = [row for row in rows if row.split == "valid" and math.isfinite(row.value)]
    if not chosen:
        raise ValueError("no finite validation numbers to draw")
    table = frame(chosen)
    corpora = list(dict.fromkeys(table["dataset"]))
    unigrams = {row.dataset: row.value for row in rows if (row.model, row.metric) == (UNIGRAM, PER_DOCUMENT)}
    lines = math.ceil(len(corpora) / 3)
    columns = math.ceil(len(corpora) / lines)
    size = (1.2 + 4.2 * columns, 0.4 + 4.0 * lines)
    figure, panels = pyplot.subplots(lines, columns, figsize=size, squeeze=False)
    for corpus, axes in zip(corpora, panels.flat, strict=False):  # the last panels may be empty
        _draw_curves(axes, table[table["dataset"] == corpus], passes)
        axes.set(title=corpus)
        log_x_axis(axes)
        if corpus in unigrams:
            axes.axhline(unigrams[corpus], color=GREY, linestyle=":", linewidth=1.5, label="unigram, test")
            axes.set_ylim(top=min(axes.get_ylim()[1], 1.1 * unigrams[corpus]))
    for axes in panels.flat[len(corpora) :]:
        axes.remove()
    figure.supxlabel("passes over the training documents, log scale", fontsize="medium")
    figure.supylabel("validation perplexity per document", fontsize="medium")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncol=3, fontsize="small")
    figure.tight_layout()
    return figure


def _draw_curves(axes: Any, own: pandas.DataFrame, passes: Mapping[tuple[str, str, str], float]) -> None:
    """Those of one corpus."""
    for (model, dims, protocol), curve in own.groupby(["model", "dims", "protocol"], sort=False):
        stroke, mean = _stroke(str(model), str(protocol)), curve.groupby("updates")["value"].mean()
        share = passes[str(own["dataset"].iloc[0]), f"{model} {dims}", str(protocol)]
        later, hollow = mean.index > 0, dims != own.loc[own["model"] == model, "dims"].iloc[0]
        axes.plot(
            mean.index[later] * share, numpy.exp(-mean[later]), color=stroke.colour, marker=stroke.marker,
            linestyle=(0, stroke.dashes) if stroke.dashes else "-", markevery=marked(later.sum()),
            markerfacecolor="white" if hollow else stroke.colour,
            markeredgecolor=stroke.colour if hollow else "white",
            linewidth=1.0 if str(protocol) in ALPHA else 2.0,
            alpha=ALPHA.get(str(protocol), 1.0),
            label=f"{model} {dims}" + f", {protocol}" * bool(protocol),
        )  # fmt: skip
