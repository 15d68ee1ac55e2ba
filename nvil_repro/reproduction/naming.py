"""Models by the names of the paper's tables: "SBN 200-500" has 500 units next to the pixels and 200 above."""

from __future__ import annotations

from collections.abc import Sequence

KINDS = ("SBN", "fDARN", "DARN", "mixture of Bernoullis", "NADE")
MODEL = rf"({'|'.join(KINDS)}) [1-9]\d*(-[1-9]\d*)*"  # a regular expression


def dims_label(layers: Sequence[int]) -> str:
    """Layer sizes as the paper prints them, deepest first: (200, 500) is "500-200"."""
    return "-".join(str(size) for size in reversed(layers))


def parse_model(name: str) -> tuple[str, tuple[int, ...]]:
    """A name that matches `MODEL` as its kind and its layers, h^1 first."""
    kind, _, dims = name.rpartition(" ")
    return kind, tuple(int(size) for size in reversed(dims.split("-")))
