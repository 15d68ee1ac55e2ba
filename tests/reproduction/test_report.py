"""The report is one file that says what was run, shows it, and renders in a browser."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nvil_repro.reproduction import report
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.protocols import VARIANTS
from nvil_repro.reproduction.report import caveats, duration, render
from nvil_repro.reproduction.results import ResultsError, Row, write_results

MakeRow = Callable[..., Row]
FIGURES = len(EXPERIMENTS["variance_reduction"].figures)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="200"><circle cx="160" cy="100" r="80"/></svg>'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def filled(project: Path, row: MakeRow) -> Path:
    """A project with results of the quick profile."""
    folder = project / "results" / "quick"
    rows = [
        row(dims=dims, variant=name, seed=seed, split=split, value=-120.0 - 5 * place - seed)
        for dims in ("200", "200-200")
        for place, name in enumerate(VARIANTS)
        for seed in (0, 1)
        for split in ("valid", "test")
    ]
    write_results(folder / "variance_reduction.csv", rows)
    for figure in EXPERIMENTS["variance_reduction"].figures:
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / f"{figure.name}.svg").write_text(SVG)
    (folder / "notebooks").mkdir()
    executed = {"cells": [], "metadata": {"papermill": {"duration": 200.4}}}
    (folder / "notebooks" / EXPERIMENTS["variance_reduction"].notebook).write_text(json.dumps(executed))
    return project


def test_what_it_holds(filled: Path) -> None:
    page = render(filled, "quick")
    assert "<title>NVIL reproduction: quick profile</title>" in page
    assert page.count("data:image/svg+xml;base64,") == FIGURES
    assert "Variance reduction (Figure 1) 3 min 20 s" in page
    assert 'href="notebooks/01_variance_reduction.ipynb"' in page
    assert "Baseline, IDB, &amp; VN" in page
    assert '<td class="n">113.1</td>' in page
    assert "fDARN 500, wake-sleep (97.2)" in page


def test_a_row_points_to_its_note(filled: Path) -> None:
    page = render(filled, "quick")
    notes = dict(re.findall(r'<li id="note-(\d+)">([^<]*)</li>', page))
    rows = re.findall(r"<td>([^<]*) <sup><a href=\"#note-(\d+)\">\2</a></sup></td>\s*<td>([^<]*)</td>", page)
    assert len(notes) > 1
    assert {place for _, place, _ in rows} == set(notes)
    order = {notes[place] for _, place, metric in rows if metric == "order"}
    assert all("order of the printed curves" in note for note in order), order


def test_long_tables_are_folded(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "<details open>\n<summary>At the end of training: 20 numbers"
    assert shown in render(filled, "quick")
    monkeypatch.setattr(report, "FOLDED", 19)
    page = render(filled, "quick")
    assert shown not in page
    assert shown.replace(" open", "") in page


def test_models_without_a_seed_name_none(filled: Path, row: MakeRow) -> None:
    path = filled / "results" / "quick" / "variance_reduction.csv"
    write_results(path, [row(seed=None), row(seed=10), row(seed=9)])
    assert "<dt>Seeds</dt><dd>9, 10</dd>" in render(filled, "quick")


@pytest.mark.parametrize(("metric", "lines"), [("bound", 1), ("log_z", 2)])
def test_seeds_are_averaged_but_for_the_partition_functions_of_different_nets(
    filled: Path, row: MakeRow, metric: str, lines: int
) -> None:
    path = filled / "results" / "quick" / "variance_reduction.csv"
    write_results(path, [row(metric=metric, seed=seed, value=100.0 + seed) for seed in (0, 1)])
    page = render(filled, "quick")
    assert f"At the end of training: {lines} numbers" in page
    assert ('<td class="n">100.50</td>' in page) == (lines == 1)
    assert (", seed 1" in page) == (lines == 2)


def test_it_asks_nothing_of_the_network(filled: Path) -> None:
    page = render(filled, "quick")
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script" not in page


def test_text_from_rows_is_escaped(filled: Path, row: MakeRow) -> None:
    path = filled / "results" / "quick" / "variance_reduction.csv"
    write_results(path, [row(value=math.nan, note="<b>diverged</b>")])
    page = render(filled, "quick")
    assert "<b>diverged" not in page
    assert "&lt;b&gt;diverged" in page


def test_every_data_set_has_lines_of_its_own(filled: Path, row: MakeRow) -> None:
    ends = row(dataset="line", method="CD3", variant="AIS")
    rows = [ends, *(row(dataset=name, value=value) for name, value in (("line", -1.5), ("ring", -2.5)))]
    write_results(filled / "results" / "quick" / "variance_reduction.csv", rows)
    page = render(filled, "quick")
    assert "SBN 200, line" in page
    assert "SBN 200, ring" in page
    assert "CD3, AIS" in page
    write_results(filled / "results" / "quick" / "variance_reduction.csv", [rows[0], rows[0]])
    with pytest.raises(
        ResultsError, match="two results for one number"
    ):  # control: of one data set they clash
        render(filled, "quick")


def test_every_factor_of_a_search_has_a_line_of_its_own(filled: Path, row: MakeRow) -> None:
    factors = [
        row(metric="search_bound", note=f"rates x {factor}", value=-130.0 - factor) for factor in (1, 30)
    ]
    write_results(filled / "results" / "quick" / "variance_reduction.csv", [row(), *factors])
    page = render(filled, "quick")
    assert "Baseline, IDB, &amp; VN, rates x 1<" in page
    assert "Baseline, IDB, &amp; VN, rates x 30<" in page
    assert "-160.00" in page.replace("−", "-")
    assert "search bound<" in page


def test_the_comparison_has_the_order_of_the_experiments(filled: Path, row: MakeRow) -> None:
    """By name Table 2's would come first."""
    for name, variant in (("nvil_vs_wake_sleep", "full"), ("autoregressive_inference", "factorial")):
        rows = [row(experiment=name, variant=variant, split="test")]
        write_results(filled / "results" / "quick" / f"{name}.csv", rows)
    page = render(filled, "quick")
    groups = re.findall(r'<tr class="group"><td colspan="8">([^<]*)</td>', page)
    expected = ("variance_reduction", "nvil_vs_wake_sleep", "autoregressive_inference")
    assert groups == [EXPERIMENTS[name].title for name in expected]


def test_nothing_to_report(project: Path) -> None:
    with pytest.raises(ResultsError, match="holds no results to report; run: nvil-repro run --profile quick"):
        render(project, "quick")


def test_caveats(row: MakeRow) -> None:
    honest = caveats([row(profile="paper", settings_hash="x")], "paper")
    assert honest == [
        "variance_reduction was run with settings the paper profile no longer has; run it again."
    ]
    said = " ".join(
        caveats(
            [
                row(dataset="mnist-binarised-seed0", code_version="abc+dirty"),
                row(variant="none", value=math.nan, note="diverged at update 7"),
            ],
            "quick",
        )
    )
    for part in (
        "far shorter",
        "mnist-binarised-seed0",
        "no commit records",
        "none quick, seed 0: diverged at update 7",
    ):
        assert part in said


def test_durations() -> None:
    assert [duration(s) for s in (7.6, 200, 7500)] == ["8 s", "3 min 20 s", "2 h 5 min"]


PROBE = """
<script>addEventListener("load", () => {
  const all = (q) => [...document.querySelectorAll(q)];
  document.body.dataset.probe = JSON.stringify({
    rows: all("table.comparison tbody tr:not(.group)").length,
    images: all("img").map((image) => [image.naturalWidth, image.getBoundingClientRect().width]),
    wide: document.documentElement.scrollWidth <= innerWidth,
  });
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1200, 500])
def test_it_renders_in_a_browser(filled: Path, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    page.write_text(render(filled, "quick").replace("</body>", PROBE + "</body>"))
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        f"--disable-component-update --disable-sync --window-size={width},900 --user-data-dir={tmp_path / 'user'}"
    )
    command = [
        str(CHROMIUM),
        *flags.split(" --user")[0].split(),
        f"--user-data-dir={tmp_path / 'user'}",
        "--dump-dom",
    ]
    shown = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    match = re.search(r'data-probe="([^"]*)"', shown)
    assert match, shown[:500]
    probe = json.loads(match[1].replace("&quot;", '"'))
    assert probe["rows"] == 22
    assert [natural for natural, _ in probe["images"]] == [320] * FIGURES
    assert all(drawn > 100 for _, drawn in probe["images"])
    assert probe["wide"], "the page scrolls sideways; only its tables may"
