"""The README's tables of speed, generated from the committed rows of `nvil-repro bench --json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from nvil_repro.reproduction.presentation import markdown

# Caption: parts of the benchmark.
TABLES: Mapping[str, Sequence[str]] = {
    "Belief networks: milliseconds per update and model": ("peers", "networks", "figure"),
    "Drawing units one after the other, and estimates; milliseconds per minibatch or test case": (
        "sampling",
        "estimates",
    ),
    "Documents: milliseconds per update, or of what the last column says": ("documents", "rcv1"),
    "RBMs: milliseconds per update, or per rung of annealing": ("rbm",),
}


def read_benchmarks(path: Path) -> list[dict[str, Any]]:
    """The rows in a file that `nvil-repro bench --json` wrote. Errors: `ValueError` if they are of several machines or
    codes, as they are to be compared.
    """
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    for key in ("machine", "code_version"):
        if len(found := {row[key] for row in rows}) > 1:
            raise ValueError(
                f"{path.name} must be of one run, and has {' and '.join(sorted(found))} as {key}"
            )
    return rows


def speed_section(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table for each of `TABLES`: a line a piece of work, all its peers in one column."""
    parts = [f"On {rows[0]['machine']}; code {rows[0]['code_version']}."] if rows else []
    for caption, names in TABLES.items():
        own = [row for row in rows if row["part"] in names]
        if own:
            lines = [_line(list(same)) for _, same in groupby(own, key=lambda row: str(row["name"]))]
            header = ("work", "ours", "products alone", "peers")
            parts.append(f"**{caption}**\n\n{markdown((*header, ''), lines)}")
    return "\n\n".join(parts)


def _line(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    first = rows[0]
    floor = (
        "–"
        if first["floor_ms"] is None
        else f"{_short(first['floor_ms'])} (ours: {_short(first['ratio_floor'])})"
    )
    peers = "; ".join(_peer(row) for row in rows if row["peer_ms"] is not None)
    notes = "; ".join(dict.fromkeys(row["note"] for row in rows))
    return (first["name"], _short(first["ours_ms"]), floor, peers or "–", notes)


def _peer(row: Mapping[str, Any]) -> str:
    return f"{row['peer']} {_short(row['peer_ms'])} (**{_short(row['ratio_peer'])}**)"


def _short(value: float) -> str:
    """Two digits that mean something."""
    digits = max(0, 1 - math.floor(math.log10(float(f"{value:.1e}"))))
    return f"{value:.{digits}f}"
