"""A run's history: rows as `loop.TrainResult` describes them, in a word and as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nvil_repro.files import write_atomic

# No timing: the file of a run that was interrupted is the file of one that was not.
COLUMNS = ("replica", "variant", "seed", "updates", "split", "metric", "value", "stderr", "n", "note")


def summary(history: Sequence[Mapping[str, Any]]) -> str:
    """`full -116.8, none -154.1`: the last validation values, each variant's mean over its seeds."""
    last: dict[str, dict[int, float]] = {}
    for row in history:
        if row["split"] == "valid":
            last.setdefault(row["variant"], {})[row["seed"]] = row["value"]
    return ", ".join(f"{variant} {sum(by.values()) / len(by):.1f}" for variant, by in last.items())


def publish(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows as CSV, unless the file holds just them already. Errors: `OSError`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    if not path.exists() or path.read_bytes() != text.getvalue().encode():
        write_atomic(path, text.getvalue())
