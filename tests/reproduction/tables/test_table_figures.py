"""Pictures of the tables say what their rows say."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy
import pytest

from nvil_repro.reproduction import table_views
from nvil_repro.reproduction.protocols import PROTOCOLS, TUNED
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.rules import rules_of
from nvil_repro.reproduction.settings import BoundTable
from nvil_repro.reproduction.style import COLUMN_STROKES
from nvil_repro.reproduction.table_figures import LOOKS, galleries, matrices, table_curves, table_points
from nvil_repro.reproduction.table_views import summary

pytestmark = pytest.mark.usefixtures("drawing")


def table(row: Any, **changes: Any) -> list[Row]:
    common = {"experiment": "nvil_vs_wake_sleep", "protocol": "balanced", **changes}
    return [
        row(
            dims=dims,
            method=method,
            variant="full" * (method == "NVIL"),
            split=split,
            updates=at,
            value=-at,
            **common,
        )
        for dims in ("200", "200-200")
        for method in ("NVIL", "wake-sleep")
        for split, at in (("valid", 100), ("valid", 110), ("test", 120))
    ]


def test_points_are_ours_and_the_printed(row: Any) -> None:
    rows = table(row)
    rows += [r._replace(metric="importance_weighted", value=-105.0) for r in rows if r.split == "test"]
    (axes,) = table_points(summary(rows, read_published())).axes
    drawn = sorted({round(float(x), 1) for line in axes.lines for x in numpy.asarray(line.get_xdata())})
    assert drawn == [99.8, 105.0, 107.7, 113.1, 120.0, 120.8]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SBN 200", "SBN 200-200"]


def test_protocols_are_told_apart(row: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In points and in curves, whichever a table may have."""
    known = [name for name in LOOKS if name]
    assert known == list(rules_of(BoundTable)["protocols"].read(known))
    assert set(known) == PROTOCOLS.keys() - {TUNED}

    def looks(protocol: str) -> tuple[Any, float]:
        rows = table(row, protocol=protocol)
        points = table_points(summary(rows, [])).axes[0].lines
        width = table_curves(rows).axes[0].lines[0].get_linewidth()
        return [(point.get_markersize(), point.get_alpha()) for point in points], width

    found = {name: looks(name) for name in known}
    for one, other in combinations(known, 2):
        assert all(a != b for a, b in zip(found[one], found[other], strict=True)), (one, other)
    monkeypatch.setitem(LOOKS, "patient", LOOKS["balanced"])  # control
    assert looks("patient") == found["balanced"]


def test_curves_have_a_panel_a_model(row: Any) -> None:
    figure = table_curves(table(row))
    assert [axes.get_title() for axes in figure.axes] == ["SBN 200", "SBN 200-200"]
    assert figure.get_supxlabel() == "parameter updates, thousands"
    assert not any(axes.get_xlabel() for axes in figure.axes)  # a panel's own would run into the next one's
    early = table(row)[0]._replace(updates=5, value=-500.0)
    assert table_curves([early, *table(row)]).axes[0].get_ylim() == figure.axes[0].get_ylim() == (-112, -98)
    with pytest.raises(ValueError, match="no finite validation bounds"):
        table_curves(table(row)[2:3])


def test_curves_go_by_minutes_as_updates_were_timed(row: Any) -> None:
    times = {"NVIL": 6.0, "wake-sleep": 12.0}
    timed = [
        r._replace(metric="ms_per_update", split="train", value=times[r.method], updates=50)
        for r in table(row)
        if r.split == "test"
    ]
    later = [r._replace(updates=10 * r.updates) for r in table(row) if r.split == "valid"]
    axes = table_curves([*table(row), *later, *timed], "minutes").axes[0]
    assert axes.get_xscale() == "log"
    ends = sorted({round(float(max(line.get_xdata())), 6) for line in axes.lines if len(line.get_xdata())})
    assert ends == [1100 * 6 / 60_000, 1100 * 12 / 60_000]
    assert table_views.costs(timed).loc["SBN 200"].tolist() == [6.0, 12.0]
    with pytest.raises(ValueError, match="no ms_per_update of SBN 200 NVIL balanced: time it"):
        table_curves(table(row), "minutes")


def test_galleries_and_matrices_share_a_scale() -> None:
    pictures = {"a": numpy.full((3, 784), 0.5), "b": numpy.full((3, 784), -2.0)}
    signed = galleries(pictures, "toy", signed=True)
    assert [axes.images[0].get_clim() for axes in signed.axes] == [(-2.0, 2.0)] * 2
    assert [axes.images[0].get_clim() for axes in galleries(pictures, "toy").axes] == [(0.0, 1.0)] * 2
    shown = matrices({"a": numpy.eye(3), "b": 4 * numpy.eye(3)})
    assert len({axes.images[0].get_clim() for axes in shown.axes if axes.images}) == 1


def test_every_column_has_a_look_of_its_own() -> None:
    strokes = {
        name: stroke for name, stroke in COLUMN_STROKES.items() if name != "factorial Q"
    }  # it is NVIL's
    for part in ("label", "colour", "dashes", "marker"):
        assert len({getattr(stroke, part) for stroke in strokes.values()}) == len(strokes)
