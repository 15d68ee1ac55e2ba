"""From words to a vocabulary: stop words out, the others to their stems, the most frequent stems kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts, tally


class Counted(NamedTuple):
    """Documents for training (validation's among them) and test, over one vocabulary; some may be empty."""

    train: Counts
    test: Counts
    words: tuple[str, ...]  # [V]

    def log_rounded(self) -> Counted:
        """Every count n replaced by round(ln(1 + n)), which is at least 1."""
        train, test = (
            part._replace(counts=np.rint(np.log1p(part.counts)).astype(np.int32))
            for part in (self.train, self.test)
        )
        return Counted(train, test, self.words)


class _Numbers(dict[str, int]):
    """Numbers of strings by first appearance: asking for a new one adds it."""

    def __missing__(self, string: str) -> int:
        number = self[string] = len(self)
        return number


def count_words(train: Iterable[Sequence[str]], test: Iterable[Sequence[str]]) -> Counted:
    """The counts of every word there is, from the words of each document."""
    numbers = _Numbers()
    parts = [_numbered(part, numbers) for part in (train, test)]
    counts = [tally(rows, words, (documents, max(len(numbers), 1))) for rows, words, documents in parts]
    return Counted(counts[0], counts[1], tuple(numbers))


def most_frequent_stems(counted: Counted, size: int | None, default: int = 2_000) -> Counted:
    """Porter stems of all but the SMART stop words: the `size` most frequent in training, most frequent first.

    Ties go in alphabetical order. size: None takes `default`, or all stems there are if they are fewer.
    Errors: `ValueError` if training has fewer than `size` different stems, or none at all.
    """
    numbers = _Numbers()
    stems = np.array([-1 if stem is None else numbers[stem] for stem in _stems(counted.words)], np.int64)
    train, test = (part.renamed(stems, len(numbers)) for part in (counted.train, counted.test))
    totals, names = train.word_totals(), np.array(list(numbers), np.str_)
    available = int((totals > 0).sum())
    if available == 0:
        raise ValueError("no training document has a word of letters a-z that is not a stop word")
    size = min(default, available) if size is None else size
    if not 1 <= size <= available:
        raise ValueError(
            f"words={size:,}: expected between 1 and the {available:,} stems of the training documents"
        )
    chosen = np.lexsort((names, -totals))[:size]
    ranks = np.full(len(numbers), -1)
    ranks[chosen] = np.arange(size)
    return Counted(train.renamed(ranks, size), test.renamed(ranks, size), tuple(names[chosen].tolist()))


def stop_words() -> tuple[str, ...]:
    """The stop list of the SMART retrieval system, 571 entries, as published."""
    resource = files("nvil_repro.data").joinpath("smart_stop_words.json")
    return tuple(" ".join(json.loads(resource.read_text("ascii"))["lines"]).split())


def _stems(words: Iterable[str]) -> list[str | None]:
    """The Porter stem of each word, None for a stop word, by the natural language toolkit with its own extensions."""
    from nltk.stem.porter import PorterStemmer

    stop, stemmer = frozenset(stop_words()), PorterStemmer(PorterStemmer.NLTK_EXTENSIONS)
    return [None if word in stop else stemmer.stem(word) for word in words]


def _numbered(
    documents: Iterable[Sequence[str]], numbers: _Numbers
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Every word of all documents, one after another: its document and its number; how many documents there are."""
    lengths: list[int] = []

    def counted() -> Iterable[Sequence[str]]:
        for document in documents:
            lengths.append(len(document))
            yield document

    words = np.fromiter(map(numbers.__getitem__, chain.from_iterable(counted())), np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), words, len(lengths)
