"""Figures say what the rows say, in colours and strokes that differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy
import pandas
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from nvil_repro.reproduction.figures import (
    filters,
    image_grid,
    learning_curves,
    save_figure,
    variance_curves,
    variance_points,
)
from nvil_repro.reproduction.notebook import parameters
from nvil_repro.reproduction.protocols import VARIANTS
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.style import STROKES, log_x_axis, use_style

MakeRow = Callable[..., Row]


pytestmark = pytest.mark.usefixtures("drawing")


@pytest.fixture
def rows(row: MakeRow) -> list[Row]:
    return [
        row(
            dims=dims,
            variant=name,
            seed=seed,
            split="valid",
            updates=1000 * step,
            value=-200.0 + 10 * step - place + seed,
        )
        for dims in ("200", "200-200")
        for place, name in enumerate(VARIANTS)
        for seed in (0, 2)
        for step in range(5)
    ]


def test_a_picture_without_nets_is_the_kept_one(tmp_path: Path) -> None:
    before = parameters({"profile": "smoke", "results_dir": str(tmp_path)}, "nvil_vs_wake_sleep")
    run = replace(before, results_dir=tmp_path / "here", keep=tmp_path)
    with pytest.raises(ValueError, match="nothing to show in the figure table_1_samples_NVIL"):
        save_figure(None, "table_1_samples_NVIL", before)
    kept = save_figure(pyplot.figure(), "table_1_samples_NVIL", before).read_bytes()
    taken = save_figure(None, "table_1_samples_NVIL", run)
    assert taken.is_relative_to(tmp_path / "here")
    assert taken.read_bytes() == kept
    assert taken.with_suffix(".png").is_file()
    pyplot.figure().add_axes((0, 0, 1, 1))
    assert save_figure(pyplot.gcf(), "table_1_samples_NVIL", run).read_bytes() != kept  # control


def test_every_variant_has_a_stroke_of_its_own() -> None:
    assert list(STROKES) == list(VARIANTS)
    for part in ("label", "colour", "dashes", "marker"):
        assert len({getattr(stroke, part) for stroke in STROKES.values()}) == len(STROKES)


def test_every_point_of_a_short_curve_is_marked(rows: list[Row]) -> None:
    def every(points: list[Row]) -> set[object]:
        lines = learning_curves(points).axes[0].lines
        return {line.get_markevery() for line in lines if len(line.get_xdata())}

    assert every(rows) == {1}
    assert every([row._replace(updates=row.updates + more) for row in rows for more in (0, 1, 2)]) == {0.12}


def test_learning_curves(rows: list[Row]) -> None:
    use_style()
    figure = learning_curves(rows)
    assert [axes.get_title() for axes in figure.axes] == ["SBN 200", "SBN 200-200"]
    best = figure.axes[0].lines[0]
    assert to_rgb(best.get_color()) == to_rgb(STROKES["full"].colour)
    assert list(best.get_xdata()) == [0, 1, 2, 3, 4]
    assert list(best.get_ydata()) == [-199, -189, -179, -169, -159]  # the mean over the seeds
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == [stroke.label for stroke in STROKES.values()]
    assert figure.legends[0].get_title().get_text() == "mnist-fixed"


def test_protocols_are_panels_of_their_own(rows: list[Row]) -> None:
    figure = learning_curves(rows + [row._replace(protocol="literal") for row in rows])
    assert figure.axes[2].get_title() == "SBN 200, literal protocol"


def test_diverged_rows_are_left_out_and_nothing_to_draw_is_said(rows: list[Row]) -> None:
    bad = [row._replace(value=math.nan, note="diverged") for row in rows]
    assert len(learning_curves(rows + bad).axes[0].lines[0].get_xdata()) == 5
    with pytest.raises(ValueError, match="no finite rows of bound on valid"):
        learning_curves(bad)


def test_variance_points(rows: list[Row]) -> None:
    figure = variance_points(
        [row._replace(metric="gradient_variance", value=10.0 ** (row.seed or 0)) for row in rows]
    )
    assert figure.axes[0].get_xscale() == "log"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        s.label for s in STROKES.values()
    ]


def test_pictures_are_laid_out_in_reading_order() -> None:
    images = torch.zeros(3, 4)
    images[2] = 1.0
    sheet = image_grid(images, "mnist-fixed", shape=(2, 2), columns=2).axes[0].images[0].get_array()
    assert sheet.shape == (8, 8)
    assert sheet[5, 1] == 1.0
    assert sheet[1, 1] == sheet[1, 5] == 0.0


def test_filters_have_one_symmetric_scale() -> None:
    image = filters(numpy.array([[1.0, -3.0, 0.0, 0.5]]), "mnist-fixed", shape=(2, 2)).axes[0].images[0]
    assert image.norm.vmin == -image.norm.vmax
    with pytest.raises(ValueError, match=r"expected an array \[N, 784\].*\[1, 4\]"):
        filters(numpy.zeros((1, 4)), "mnist-fixed")


def test_every_figure_says_on_which_data(rows: list[Row], row: MakeRow) -> None:
    for dataset in ("mnist-fixed", "mnist-binarised-seed0"):
        own = [each._replace(dataset=dataset) for each in rows]
        measured = [each._replace(metric="gradient_variance", value=-each.value) for each in own]
        pictures = numpy.ones((2, 4))
        drawn = (
            learning_curves(own),
            variance_points(measured),
            filters(pictures, dataset, shape=(2, 2)),
            image_grid(pictures, dataset, shape=(2, 2)),
        )
        for figure in drawn:
            words = " ".join(text.get_text() for text in figure.findobj(Text))
            assert [name for name in ("mnist-fixed", "mnist-binarised-seed0") if name in words] == [dataset]


def test_save_figure(project: Path) -> None:
    use_style()
    run = parameters({"profile": "smoke"}, "quickstart")
    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    path = save_figure(figure, "quickstart_bound", run)
    first = path.read_bytes()
    assert path == project.resolve() / "results" / "smoke" / "figures" / "quickstart_bound.svg"
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert save_figure(figure, "quickstart_bound", run).read_bytes() == first
    axes.plot([2, 1])
    assert save_figure(figure, "quickstart_bound", run).read_bytes() != first
    with pytest.raises(ValueError, match='no figure "bound"; declared: quickstart_bound'):
        save_figure(figure, "bound", run)


def test_variance_along_training_has_a_panel_a_layer(row: MakeRow) -> None:
    rows = [
        row(
            dims="200-200",
            variant=name,
            metric=f"layer_{layer}_gradient_variance",
            split="valid",
            updates=at,
            value=9.0,
        )
        for layer in (1, 2)
        for name in VARIANTS
        for at in (0, 30, 1000)
    ]
    figure = variance_curves(rows)
    ticks = figure.axes[0].xaxis.get_major_ticks()
    labels = {round(float(tick.get_loc())): tick.label1.get_text() for tick in ticks}
    assert labels == {10: "0", 30: "30", 100: "100", 1000: "1,000"}
    drawn = {float(x) for line in figure.axes[0].lines for x in numpy.asarray(line.get_xdata())}
    assert drawn == {10, 30, 1000}
    for some, expected in (([0], ["0"]), ([30, 1000], ["30", "100", "1,000"])):
        axes = variance_curves([row for row in rows if row.updates in some]).axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == expected
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["SBN 200-200, layer 1, quick", "SBN 200-200, layer 2, quick"]
    assert all(axes.get_xscale() == axes.get_yscale() == "log" for axes in figure.axes)
    with pytest.raises(ValueError, match="gradient variance along training"):
        variance_curves([row()])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1, 1000), "1 10 100 1000"),
        ((0.0012, 0.09), "0.002 0.005 0.01 0.02 0.05"),
        ((2.9, 7.1), "3 4 5 6 7"),
    ],
)
def test_a_logarithmic_axis_is_labelled_as_densely_as_it_is_short(
    limits: tuple[float, float], expected: str
) -> None:
    axes = pyplot.figure().subplots()
    log_x_axis(axes)
    axes.set_xlim(limits)
    axes.figure.draw_without_rendering()
    texts = {text for label in axes.get_xticklabels(which="both") if (text := label.get_text())}
    low, high = limits
    assert sorted((t for t in texts if low <= float(t) <= high), key=float) == expected.split()


def test_tables_are_shown_whole() -> None:
    words = ", ".join(["documents"] * 10)
    table = pandas.DataFrame({"words": [words] * 80})
    with pandas.option_context("display.max_rows", 60, "display.max_colwidth", 50):
        assert words not in table._repr_html_()  # control: cut by default
        use_style()
        assert table._repr_html_().count(words) == 80
