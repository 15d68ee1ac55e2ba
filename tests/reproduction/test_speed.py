"""The README's tables of speed are made of the benchmark's rows, all of one run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rows import Row, as_json
from nvil_repro.reproduction.speed import read_benchmarks, speed_section

ROWS = [
    Row("SBN 4", 0.5, "eager", 15.0, 0.25, "minibatch 20", "peers"),
    Row("SBN 4", 0.5, "another", 1.04, 0.25, "minibatch 20", "peers"),
    Row("SBN 5", 9.96, floor_ms=8.0, part="networks"),
    Row("a sweep", 137.4, "its peer", note="peer is not installed", part="documents"),
    Row("a sweep", 137.4, "another", 99.6, note="50 topics", part="documents"),
]


def write(folder: Path, rows: list[Row]) -> Path:
    path = folder / "benchmarks.json"
    path.write_text(as_json(rows))
    return path


def test_a_line_a_piece_of_work(tmp_path: Path) -> None:
    text = speed_section(read_benchmarks(write(tmp_path, ROWS)))
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and "work" not in line and "--" not in line
    ]
    assert lines == [
        "| SBN 4 | 0.50 | 0.25 (ours: 2.0) | eager 15 (**30**); another 1.0 (**2.1**) | minibatch 20 |",
        "| SBN 5 | 10 | 8.0 (ours: 1.2) | – |  |",
        "| a sweep | 137 | – | another 100 (**0.72**) | peer is not installed; 50 topics |",
    ]
    assert text.count("**Belief networks") == text.count("**Documents") == 1
    assert "RBMs" not in text  # no row is of them
    assert "torch" in text.splitlines()[0]
    assert speed_section([]) == ""


@pytest.mark.parametrize("key", ["machine", "code_version"])
def test_rows_of_several_runs_are_refused(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, ROWS)
    rows = json.loads(path.read_text())
    assert len(read_benchmarks(path)) == len(rows)  # control
    rows[1][key] = "another"
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=f"benchmarks.json must be of one run, and has .*another.* as {key}"):
        read_benchmarks(path)
