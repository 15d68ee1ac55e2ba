"""RCV1-v2's token files (appendix B.12 of Lewis, Yang, Rose & Li 2004), read in blocks of bounded size.

A document is a line `.I` and its id, a line `.W`, lines of stems, and a blank line; stop words are gone already.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nvil_repro.data.content import CorruptDataError
from nvil_repro.data.counts import Counts, tally

BLOCK_BYTES, LONGEST_DOCUMENT = 2**23, 2**24  # bytes
_DOCUMENT = re.compile(rb"\n*\.I (\d{1,9})\n\.W\n((?:(?!\.[IW]\b)[ -~]+\n)*+)\n+")


class Stems(dict[bytes, int]):
    """Numbers of stems, by first appearance: asking for a new one adds it."""

    def __missing__(self, stem: bytes) -> int:
        number = self[stem] = len(self)
        return number


class TokenBlock(NamedTuple):
    """Some documents: their ids, and their counts over the stems numbered so far."""

    ids: list[int]
    counts: Counts


def token_blocks(
    path: Path, stems: Stems, seen: set[int], *, documents: int | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[TokenBlock]:
    """The documents of one token file, gzipped or plain, in its order; new stems get numbers, `seen` gets the ids.

    documents: how many the file must hold, where that is known; it may then lack the last blank line.
    Errors: `CorruptDataError` naming file, line and document for what is not of the format, a byte that is not
    printable ASCII, an id seen before, a truncated or damaged file; `OSError` if it cannot be read.
    """
    line, found = 1, 0
    try:
        for text in _texts(path, block_bytes, mend=documents is not None):
            matches, end = _match(text)
            if end < len(text):
                raise _fault(path, text, end, line)
            ids = [int(match[1]) for match in matches]
            if len(set(ids)) < len(ids) or not seen.isdisjoint(ids):
                raise _repetition(path, text, matches, seen, line)
            seen.update(ids)
            found += len(ids)
            line += text.count(b"\n")
            yield TokenBlock(ids, _count([match[2] for match in matches], stems))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(f"{path}, after line {line - 1}: damaged gzip stream ({error})") from error
    if found == 0 or documents not in (None, found):
        expected = "some" if documents is None else f"{documents:,}"
        raise CorruptDataError(
            f"{path} ends at line {line - 1} after {found:,} documents, expected {expected}"
        )


def _texts(path: Path, size: int, mend: bool) -> Iterator[bytes]:
    """The file's text in pieces of some `size` bytes, cut between documents."""
    with path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        file = gzip.GzipFile(fileobj=raw) if zipped else raw
        rest = b""
        while piece := file.read(size):
            rest += piece
            cut = rest.rfind(b"\n\n.I ") + 2
            if cut < 2 and len(rest) > LONGEST_DOCUMENT:
                break  # no document; what there is will be refused
            if cut >= 2:
                yield rest[:cut]
                rest = rest[cut:]
        if mend and rest.endswith(b"\n") and not rest.endswith(b"\n\n"):
            rest += b"\n"
        if rest:
            yield rest


def _match(text: bytes) -> tuple[list[re.Match[bytes]], int]:
    """The documents at the head of the text, and where the first thing that is none begins."""
    matches, end = [], 0
    while match := _DOCUMENT.match(text, end):
        matches.append(match)
        end = match.end()
    return matches, end


def _count(bodies: list[bytes], stems: Stems) -> Counts:
    documents = [body.split() for body in bodies]
    lengths = np.fromiter(map(len, documents), np.int64, len(documents))
    tokens = map(stems.__getitem__, chain.from_iterable(documents))
    words = np.fromiter(tokens, np.int64, int(lengths.sum()))
    rows = np.repeat(np.arange(len(documents)), lengths)
    return tally(rows, words, (len(documents), max(len(stems), 1)))


def _fault(path: Path, text: bytes, start: int, line: int) -> CorruptDataError:
    """The error of what stands at `start` instead of a document; `line` is the number of the text's first."""
    rest = text[start:].lstrip(b"\n")
    document, at, why = _reason(rest.split(b"\n"))
    number = line + text.count(b"\n", 0, len(text) - len(rest)) + at
    return CorruptDataError(f"{path}, line {number}, {document}: {why}")


def _reason(lines: list[bytes]) -> tuple[str, int, str]:
    """Which document is broken, in which of the lines, and how."""
    header = re.fullmatch(rb"\.I (\d{1,9})", lines[0])
    if header is None:
        return "no document", 0, f"expected '.I' and the id of a document, found {_shown(lines[0])}"
    document = f"document {int(header[1])}"
    if len(lines) > 2 and lines[1] != b".W":
        return document, 1, f"expected '.W', found {_shown(lines[1])}"
    for at, line in enumerate(lines[2:], 2):
        if re.match(rb"\.[IW]\b", line):
            return document, at, f"found {_shown(line)} where stems or a blank line should be"
        if byte := re.search(rb"[^ -~]", line):
            return document, at, f"byte 0x{byte[0][0]:02x} in a stem is not printable ASCII"
    return document, len(lines) - 1, "the file ends within it: truncated? Fetch it again"


def _repetition(
    path: Path, text: bytes, matches: list[re.Match[bytes]], seen: set[int], line: int
) -> CorruptDataError:
    ids: set[int] = set()
    for match in matches:
        number = int(match[1])
        if number in seen or number in ids:
            line += text.count(b"\n", 0, match.start(1))
            return CorruptDataError(
                f"{path}, line {line}, document {number}: there was one of this id before"
            )
        ids.add(number)
    raise AssertionError("no id is repeated")


def _shown(line: bytes) -> str:
    return repr(line[:40])[1:] + ("..." if len(line) > 40 else "")
