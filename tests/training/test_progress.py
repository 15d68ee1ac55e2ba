"""Lines where nobody watches, a bar where someone does, and the time left."""

from __future__ import annotations

import sys

import pytest

from nvil_repro.training import progress
from nvil_repro.training.progress import Progress, clock


def test_lines_tell_share_speed_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([100.0, 102.0])  # after the first step, which took 100 s to compile, and at the report
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with Progress(1000, "SBN 200", done=200, style="lines") as bar:
        bar.step(50)
        bar.report("full -150.2")
        bar.step(100)
        bar.report("full -112.3")
    assert capsys.readouterr().out.splitlines() == [
        "SBN 200: continues at update 200 of 1,000",
        "SBN 200: 250/1,000 updates (25%)  full -150.2",
        "SBN 200: 350/1,000 updates (35%)  full -112.3  50 updates/s, 0:13 left",
    ]


def test_off_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, done=5, style="off") as bar:
        bar.step(5)
        bar.report("done")
    assert capsys.readouterr() == ("", "")


def test_a_bar_counts_from_where_the_run_stood(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    with Progress(10, "SBN 200", done=5, style="bar") as bar:
        bar.step(5)
        bar.report("full -112.3")
    shown = capsys.readouterr().err
    assert "SBN 200" in shown
    assert "10/10" in shown


def test_the_style_follows_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIL_REPRO_PROGRESS", raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr(progress, "find_spec", lambda name: name == "tqdm")
    monkeypatch.setattr(sys, "stderr", sys.__stdout__)
    monkeypatch.setattr(sys.__stdout__, "isatty", lambda: False, raising=False)
    assert Progress(1).style == "lines"  # a pipe, a batch job, papermill
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert Progress(1).style == "lines"
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    assert Progress(1).style == "bar"  # a notebook someone has open
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert Progress(1).style == "lines"  # no tqdm
    monkeypatch.setenv("NVIL_REPRO_PROGRESS", "off")
    assert Progress(1).style == "off"
    assert Progress(1, style="lines").style == "lines"
    with pytest.raises(ValueError, match="'loud'; choose from bar, lines, off"):
        Progress(1, style="loud")


def test_clock() -> None:
    assert [clock(s) for s in (0, 249, 3753)] == ["0:00", "4:09", "1:02:33"]
