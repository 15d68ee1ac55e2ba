"""What the benchmark reports: rows, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from benchmarks.timing import Way, cores, milliseconds
from nvil_repro.reproduction.provenance import code_version, processor


class Row(NamedTuple):
    """Milliseconds per update and model, or per what the note says. `ratio_peer` says how many times faster ours
    is than the peer, `ratio_floor` how many times the matrix products alone would fit into ours; NaN where there is
    no such number.
    """

    name: str
    ours_ms: float
    peer: str = ""
    peer_ms: float = math.nan
    floor_ms: float = math.nan
    note: str = ""
    part: str = ""  # of the benchmark, see `benchmarks.update.PARTS`

    @property
    def ratio_peer(self) -> float:
        return self.peer_ms / self.ours_ms

    @property
    def ratio_floor(self) -> float:
        return self.ours_ms / self.floor_ms


def measured(
    name: str, contenders: Mapping[str, Sequence[Way]], seconds: float, note: str = ""
) -> Iterator[Row]:
    """A row per peer; "ours", "floor" and all peers take turns in the same rounds."""
    found = milliseconds(contenders, seconds)
    own, products = found.pop("ours"), found.pop("floor")
    for peer, peer_ms in found.items():
        yield Row(name, own, peer, peer_ms, products, note)


NUMBERS = ("ours_ms", "peer_ms", "ratio_peer", "floor_ms", "ratio_floor")
KEYS = (
    *("part", "name", "ours_ms", "peer", "peer_ms", "floor_ms", "ratio_peer", "ratio_floor"),
    *("machine", "code_version", "note"),
)


def machine() -> str:
    """Processor, cores and the versions that matter."""
    return ", ".join(
        [processor(), f"{cores()} cores", *(f"{name} {_version(name)}" for name in ("torch", "numba"))]
    )


def as_json(rows: Sequence[Row]) -> str:
    """A list of objects with the keys `KEYS`; null where there is no number."""
    return json.dumps([_record(row) for row in rows], indent=1, allow_nan=False)


def as_table(rows: Sequence[Row]) -> str:
    """Aligned columns for a terminal."""
    cells: list[tuple[str, ...]] = [
        ("", "ours ms", "peer ms", "times faster", "products ms", "of products", "peer", "")
    ]
    for row in rows:
        numbers = (_short(getattr(row, name)) for name in NUMBERS)
        cells.append((row.name, *numbers, row.peer, row.note))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(_pad(i, *pair) for i, pair in enumerate(zip(line, widths, strict=True))) for line in cells
    ]
    title = f"Milliseconds per update and model, or per what the last column says, on {machine()}"
    return "\n".join([title, "", *(line.rstrip() for line in lines)])


def _record(row: Row) -> dict[str, object]:
    made = {"machine": machine(), "code_version": code_version()}
    values = {key: getattr(row, key, None) for key in KEYS} | made
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}


def _pad(column: int, cell: str, width: int) -> str:
    return cell.rjust(width) if 0 < column <= len(NUMBERS) else cell.ljust(width)


def _short(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
