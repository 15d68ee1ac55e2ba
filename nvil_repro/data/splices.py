"""The difference between two texts as a few splices, small enough to keep beside the code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple


class Splice(NamedTuple):
    """At `start`, a count of characters of the old text, `cut` characters make way for `new`."""

    start: int
    cut: int
    new: str


def spliced(old: str, splices: Sequence[Splice]) -> str:
    """The new text; `splices` rise and do not overlap."""
    parts, at = [], 0
    for start, cut, new in splices:
        parts += [old[at:start], new]
        at = start + cut
    return "".join([*parts, old[at:]])


def splices_between(old: str, new: str) -> list[Splice]:
    """What turns `old` into `new`: lines are compared first, then the words of those that differ."""
    lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    return [
        Splice(start + at, len(cut), put)
        for start, before, after in _changes(*lines)
        for at, cut, put in _changes(re.findall(r"\S+|\s", before), re.findall(r"\S+|\s", after))
    ]


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Where the sequences differ: the position in characters of `old`, what stands there, what shall."""
    starts = [0]
    for part in old:
        starts.append(starts[-1] + len(part))
    for kind, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield starts[i], "".join(old[i:i_end]), "".join(new[j:j_end])
