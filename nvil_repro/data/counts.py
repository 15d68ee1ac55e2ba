"""Word counts of documents, sparse: what every model of documents reads, and never as a dense matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ENTRIES = 1 << 22  # summed at once, which bounds the memory


class Counts(NamedTuple):
    """Documents n = 0..N-1 over a vocabulary of V words; document n has counts[i] times words[i],
    starts[n] <= i < starts[n+1].
    """

    starts: NDArray[np.int64]  # [N + 1]
    words: NDArray[np.int32]  # [nonzeros], rising within a document
    counts: NDArray[np.int32]  # [nonzeros], at least 1
    vocabulary: int  # V

    @property
    def documents(self) -> int:
        """N."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each document, repetitions counted: [N]."""
        lengths = np.zeros(self.documents, np.int64)
        filled = np.flatnonzero(np.diff(self.starts))
        if len(filled):
            lengths[filled] = np.add.reduceat(self.counts, self.starts[filled], dtype=np.int64)
        return lengths

    def take(self, documents: NDArray[np.int64]) -> Counts:
        """The documents of these indices, in their order."""
        begin = self.starts[documents]
        sizes = self.starts[documents + 1] - begin
        starts = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.repeat(begin - starts[:-1], sizes) + np.arange(starts[-1])
        return Counts(starts, self.words[entries], self.counts[entries], self.vocabulary)

    def where(self, chosen: NDArray[np.bool_]) -> Counts:
        """The documents at which `chosen`, [N], is true: for most of a large corpus, in less memory than `take`."""
        sizes = np.diff(self.starts)
        entries = np.repeat(chosen, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes[chosen])])
        return Counts(starts, self.words[entries], self.counts[entries], self.vocabulary)

    def renamed(self, words: NDArray[np.int64], vocabulary: int) -> Counts:
        """The same documents over other words: word w becomes words[w], or is left out where that is negative.

        Counts of words that become one are added. words: [V]; vocabulary: how many there are of the others.
        """
        rows = np.repeat(np.arange(self.documents), np.diff(self.starts))
        renamed = words[self.words]
        kept = renamed >= 0
        return tally(rows[kept], renamed[kept], (self.documents, vocabulary), self.counts[kept])

    def dense(self) -> NDArray[np.int32]:
        """[N, V], for a handful of documents."""
        rows = np.repeat(np.arange(self.documents), np.diff(self.starts))
        matrix = np.zeros((self.documents, self.vocabulary), np.int32)
        matrix[rows, self.words] = self.counts
        return matrix

    def word_totals(self) -> NDArray[np.int64]:
        """How often each word occurs in all documents: [V]."""
        totals = np.zeros(self.vocabulary, np.int64)
        for begin in range(0, len(self.words), ENTRIES):
            part = slice(begin, begin + ENTRIES)
            found = np.bincount(self.words[part], weights=self.counts[part], minlength=self.vocabulary)
            totals += found.astype(np.int64)
        return totals


class Corpus(NamedTuple):
    """Documents to train on, to validate and to test; none is empty. `dataset` names corpus and preprocessing in every
    result row; `dropped` counts the empty documents left out of training and test.
    """

    train: Counts
    valid: Counts
    test: Counts
    words: tuple[str, ...]  # [V]
    dataset: str
    dropped: tuple[int, int] = (0, 0)


def joined(parts: Sequence[Counts]) -> Counts:
    """The documents of all parts, which are over the same words, one part after another."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    return Counts(
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        words=np.concatenate([part.words for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        vocabulary=parts[0].vocabulary,
    )


def tally(
    documents: NDArray[np.integer],
    words: NDArray[np.integer],
    shape: tuple[int, int],
    counts: NDArray[np.integer] | None = None,
) -> Counts:
    """The counts of tokens, or of groups of `counts` equal tokens, given by their document and word, in any order.

    shape: (N, V). Errors: `ValueError` for a word that is none of 0..V-1, and for a sum that 32 bits do not hold.
    """
    if (unknown := (words < 0) | (words >= shape[1])).any():
        first = int(unknown.argmax())
        raise ValueError(
            f"document {documents[first]} has word {words[first]}: expected one of 0 to {shape[1] - 1:,}"
        )
    keys, inverse = np.unique(documents.astype(np.int64) * shape[1] + words, return_inverse=True)
    sums = np.bincount(inverse, weights=counts, minlength=len(keys))
    if (large := sums > np.iinfo(np.int32).max).any():
        document, word = divmod(int(keys[large.argmax()]), shape[1])
        raise ValueError(
            f"document {document} has word {word} {sums[large.argmax()]:,.0f} times: expected counts below 2^31"
        )
    starts = np.searchsorted(keys, np.arange(shape[0] + 1, dtype=np.int64) * shape[1])
    return Counts(starts, (keys % shape[1]).astype(np.int32), sums.astype(np.int32), shape[1])


def from_dense(matrix: NDArray[np.integer]) -> Counts:
    """The counts of a dense matrix [N, V] of integers, at least 0."""
    documents, words = np.nonzero(matrix)
    starts = np.concatenate([[0], np.cumsum(np.bincount(documents, minlength=len(matrix)))])
    counts = matrix[documents, words].astype(np.int32)
    return Counts(starts.astype(np.int64), words.astype(np.int32), counts, matrix.shape[1])
