"""Plain text as lower-case words, and files of documents, one a line: a label, a tab, the words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_WORD = re.compile("[a-z]+")


def words(text: str) -> list[str]:
    """The maximal runs of the letters a-z in `text`, lower-cased, in their order."""
    return _WORD.findall(text.lower())


def write_documents(documents: Iterable[tuple[str, str]]) -> bytes:
    """The file of documents given as label and text."""
    return "".join(f"{label}\t{' '.join(words(text))}\n" for label, text in documents).encode()


def read_documents(content: bytes) -> Iterator[list[str]]:
    """The words of each document in such a file."""
    for line in content.decode().splitlines():
        yield line.partition("\t")[2].split()
