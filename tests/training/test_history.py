"""The history as a line and as a file."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from nvil_repro.training.history import COLUMNS, publish, summary


def row(variant: str, seed: int, updates: int, value: float, split: str = "valid") -> dict[str, Any]:
    labels = {"replica": seed, "variant": variant, "seed": seed, "updates": updates, "split": split}
    return labels | {"metric": "bound", "value": value, "stderr": 0.5, "n": 16, "note": "", "seconds": 1.5}


ROWS = [
    row("full", 0, 0, -9.0),
    row("full", 0, 5, -1.0),
    row("full", 1, 5, -2.0),
    row("none", 0, 5, math.nan),
]


def test_the_summary_is_of_the_last_validation_values_over_seeds() -> None:
    assert summary(ROWS) == "full -1.5, none nan"
    assert summary([*ROWS, row("full", 0, 5, 99.0, "train")]) == "full -1.5, none nan"
    assert summary([*ROWS, row("full", 0, 6, 0.0)]) == "full -1.0, none nan"  # control


def test_the_file_holds_every_digit_and_no_timing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    publish(path, [row("full", 0, 5, -0.1 - 0.2)])
    with path.open(newline="", encoding="utf-8") as file:
        (found,) = csv.DictReader(file)
    assert tuple(found) == COLUMNS
    assert float(found["value"]) == -0.1 - 0.2
    assert "seconds" not in found


def test_the_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    publish(path, ROWS)
    inode = path.stat().st_ino
    publish(path, [each | {"seconds": 9.0} for each in ROWS])
    assert path.stat().st_ino == inode
    publish(path, ROWS[:1])
    assert path.stat().st_ino != inode
