"""Pictures of Table 3 say what their rows say."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import pytest

from nvil_repro.reproduction.document_figures import perplexity_curves, perplexity_points
from nvil_repro.reproduction.document_systems import PER_DOCUMENT
from nvil_repro.reproduction.document_views import summary
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row

PASSES = {("20news", f"SBN {units}", "improved"): 0.5 for units in (50, 200)} | {
    ("20news", "LDA 50", ""): 2.0
}
pytestmark = pytest.mark.usefixtures("drawing")


def rows_of(row: Callable[..., Row]) -> list[Row]:
    common = {"experiment": "document_perplexity", "dataset": "20news"}
    sbn = {"dims": "50", "protocol": "improved", **common}
    test = {"metric": PER_DOCUMENT, "split": "test"}
    rows = [
        row(model="unigram", dims="", method="", protocol="", variant="exact", value=1300.0, **common, **test)
    ]
    rows += [
        row(variant=kind, value=value, **sbn, **test)
        for kind, value in (("bound", 910), ("importance-weighted", 890))
    ]
    valid = {"metric": "bound_per_word", "split": "valid", "variant": "", **sbn}
    return rows + [
        row(updates=t, seconds=60.0 * t + 1e-6, value=-6.0 - 1 / max(t, 0.1), **valid) for t in (0, 1, 2)
    ]


def test_points_are_ours_and_the_printed_over_their_unigrams(row: Callable[..., Row]) -> None:
    (axes,) = perplexity_points(summary(rows_of(row), read_published())).axes
    drawn = [float(line.get_xdata()[0]) for line in axes.lines]
    for value in (909 / 1335, 910 / 1300, 890 / 1300):
        assert any(numpy.isclose(value, x) for x in drawn)
    assert not any(numpy.isclose(910 / 1335, x) for x in drawn)


def test_only_what_the_paper_measures_is_filled(row: Callable[..., Row]) -> None:
    unigram, bound, weighted, *_ = rows_of(row)
    exact = bound._replace(model="DocNADE", method="", protocol="", variant="exact", value=900.0)
    orders = exact._replace(variant="estimate over orders", value=880.0)
    literal = bound._replace(protocol="literal", value=1200.0)
    other = literal._replace(protocol="literal-rcv1", value=1100.0)
    rows = [unigram, bound, weighted, exact, orders, literal, other]
    (axes,) = perplexity_points(summary(rows, read_published())).axes
    points = [line for line in axes.lines if line.get_marker() != "x"]
    looks = {round(1300 * float(p.get_xdata()[0])): (p.get_fillstyle(), p.get_alpha()) for p in points}
    full, hollow = ("full", 1.0), ("none", 1.0)
    pale = {1200: ("full", 0.25), 1100: ("full", 0.55)}
    assert looks == {910: full, 890: hollow, 900: full, 880: hollow, **pale}
    (legend,) = axes.figure.legends
    assert "at RCV1's" in [text.get_text() for text in legend.get_texts()]


def test_lda_has_a_line_a_way_to_fit_it_each_beside_what_is_printed(row: Callable[..., Row]) -> None:
    unigram, bound, *_ = rows_of(row)
    variational = bound._replace(
        model="LDA", method="", protocol="", variant="left-to-right estimate", value=1040.0
    )
    gibbs = variational._replace(protocol="Gibbs", value=970.0)
    (axes,) = perplexity_points(summary([unigram, variational, gibbs], read_published())).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["LDA 50", "LDA 50, Gibbs"]
    crosses, points = ([p for p in axes.lines if (p.get_marker() == "x") == printed] for printed in (1, 0))
    assert [(round(1300 * p.get_xdata()[0]), p.get_ydata()[0]) for p in points] == [(1040, 0), (970, 1)]
    assert [(round(1335 * p.get_xdata()[0]), p.get_ydata()[0]) for p in crosses] == [(1091, 0), (1091, 1)]
    assert len({(p.get_marker(), p.get_color()) for p in points}) == 2
    (other,) = perplexity_points(summary([unigram, variational], read_published())).axes
    assert len(other.lines) == 2  # control: one point and its cross


def test_curves_are_perplexities_by_passes(row: Callable[..., Row]) -> None:
    (axes,) = perplexity_curves(rows_of(row), PASSES).axes
    line, unigram = axes.lines
    assert set(unigram.get_ydata()) == {1300}
    numpy.testing.assert_allclose(
        line.get_xdata(), [0.5, 1]
    )  # not the start, which a logarithm has no place for
    numpy.testing.assert_allclose(line.get_ydata(), numpy.exp([7.0, 6.5]))
    axes.figure.draw_without_rendering()
    assert {"0.5", "1"} <= {label.get_text() for label in axes.get_xticklabels(which="both")}
    others = [r._replace(model="LDA", method="", protocol="") for r in rows_of(row) if r.split == "valid"]
    numpy.testing.assert_allclose(perplexity_curves(others, PASSES).axes[0].lines[0].get_xdata(), [2, 4])
    with pytest.raises(ValueError, match="no finite validation numbers"):
        perplexity_curves([], PASSES)


def test_what_swings_far_above_the_unigram_model_is_cut_off(row: Callable[..., Row]) -> None:
    wild = [r._replace(value=-9.0) if r.split == "valid" else r for r in rows_of(row)]
    alone = [r for r in wild if r.model != "unigram"]
    (axes,), (whole,) = (perplexity_curves(part, PASSES).axes for part in (wild, alone))
    assert axes.get_ylim()[1] == pytest.approx(1.1 * 1300)
    assert whole.get_ylim()[1] > numpy.exp(9.0)  # control
    assert perplexity_curves(rows_of(row), PASSES).axes[0].get_ylim()[1] < 1.1 * 1300  # nothing to cut


def test_four_corpora_stand_in_two_lines(row: Callable[..., Row]) -> None:
    names = ["a", "b", "c", "d", "e"]
    rows = [r._replace(dataset=name) for name in names for r in rows_of(row)]
    passes = {(name, *key[1:]): share for name in names for key, share in PASSES.items()}
    for number, shape in ((3, (1, 3)), (4, (2, 2)), (5, (2, 3))):
        axes = perplexity_curves([r for r in rows if r.dataset in names[:number]], passes).axes
        assert [a.get_title() for a in axes] == names[:number]
        assert axes[0].get_gridspec().get_geometry() == shape


def test_a_further_size_of_a_system_is_hollow(row: Callable[..., Row]) -> None:
    more = [r._replace(dims="200") for r in rows_of(row) if r.split == "valid"]
    first, further, _ = perplexity_curves([*rows_of(row), *more], PASSES).axes[0].lines
    assert (first.get_label(), further.get_label()) == ("SBN 50, improved", "SBN 200, improved")
    assert (first.get_markerfacecolor(), further.get_markerfacecolor()) == (first.get_color(), "white")
