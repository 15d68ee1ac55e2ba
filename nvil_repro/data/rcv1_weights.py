"""Word counts recovered from RCV1-v2's weights, which is all that scikit-learn's `fetch_rcv1` has.

The official vectors hold w = (1 + ln n) idf / norm. The norm is each document's own; idf seems to be ln(23307 / df)
over training documents of which 158 are not in the collection (the dictionary's "profit 33191 2.01767426583078" is
ln(23307 / 3099)). So neither can be computed, and with a = ln idf, b = ln norm

    ln w = ln(1 + ln n) + a(term) - b(document)

Most n are 1, for which the first summand is 0. Starting from the document frequencies in the matrix, alternate: a
document's level -b is the mean of ln w - a over its lowest entries, those that share the least n; a is corrected by
what these entries deviate from their documents' levels. A few sweeps are exact. Then n = exp(exp(ln w - a + b) - 1).

A document whose words all occur equally often gets ones, for its weights say no more; one whose least n is 2, 3 or 4
is told by the whole numbers that this makes of its other words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]

NEAR = np.log(1 + np.log(2)) / 2  # half way from n = 1 to n = 2
SWEEPS, EXACT = 50, 1e-12
WHOLE = 1e-3  # an estimate of n this close to an integer fits it
LOWEST = (1, 2, 3, 4)
MOST_MISFITS = 0.02
BLOCK = 20_000  # documents worked on at once


class Recovered(NamedTuple):
    """Counts of the matrix's documents, in blocks, and how many of its weights fitted no integer and were rounded."""

    blocks: list[Counts]
    misfits: int


class _Block(NamedTuple):
    """Entries of some documents: `rows` counts the documents that have any."""

    starts: NDArray[np.int64]  # [documents + 1]
    filled: NDArray[np.int64]  # [rows], where each document that has entries begins
    rows: NDArray[np.int64]
    words: NDArray[np.int32]
    log_weights: Floats


def recover_counts(matrix: csr_array, reference: int) -> Recovered:
    """Integer counts from a CSR matrix of weights [N, V].

    reference: the first so many rows are (nearly) those whose document frequencies made the idf; 23,149 for RCV1-v2.
    Errors: `ValueError` for weights that are not positive and finite, naming the first, or if more than 2 % of them
    fit no integer, saying how many.
    """
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    bad = np.flatnonzero(~((matrix.data > 0) & (matrix.data < np.inf)))
    if bad.size:
        row = np.searchsorted(matrix.indptr, bad[0], side="right") - 1
        place = f"row {row}, column {matrix.indices[bad[0]]}"
        raise ValueError(f"weight {matrix.data[bad[0]]} in {place}: expected a positive number")
    log_idf, frequency = _first_guess(matrix, reference)
    for _ in range(SWEEPS):
        correction, lonely = _sweep(matrix, log_idf, frequency)
        log_idf += correction
        if np.abs(correction).max(initial=0) < EXACT:
            log_idf += _always_repeated(matrix, log_idf, frequency, lonely)
            break
    blocks, misfits = [], 0
    for block in _blocks(matrix):
        counts, missed = _integers(block, log_idf, frequency)
        blocks.append(Counts(block.starts, block.words.copy(), counts, matrix.shape[1]))
        misfits += missed
    if misfits > MOST_MISFITS * matrix.nnz:
        raise ValueError(
            f"{misfits:,} of {matrix.nnz:,} weights fit no integer count; expected (1 + ln n) idf with rows of unit "
            f"length, and the documents that made the idf as the first {reference:,} rows"
        )
    return Recovered(blocks, misfits)


def _first_guess(matrix: csr_array, reference: int) -> tuple[Floats, Floats]:
    """ln idf from the document frequencies in the first rows, and the frequency of each term in all: [V] each."""
    size = matrix.shape[1]
    documents = np.bincount(matrix.indices[: matrix.indptr[min(reference, matrix.shape[0])]], minlength=size)
    log_idf = np.log(np.log((reference + 1) / np.maximum(documents, 1)))
    return log_idf, np.bincount(matrix.indices, minlength=size).astype(np.float64)


def _blocks(matrix: csr_array) -> Iterator[_Block]:
    for first in range(0, matrix.shape[0], BLOCK):
        indptr = matrix.indptr[first : first + BLOCK + 1].astype(np.int64)
        entries = slice(indptr[0], indptr[-1])
        sizes = np.diff(indptr)
        rows = np.repeat(np.arange(np.count_nonzero(sizes)), sizes[sizes > 0])
        starts = indptr - indptr[0]
        words = matrix.indices[entries].astype(np.int32, copy=False)
        yield _Block(starts, starts[:-1][sizes > 0], rows, words, np.log(matrix.data[entries]))


def _above_lowest(block: _Block, log_idf: Floats, frequency: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """ln w - a less its document's level, ln((1 + ln n) / (1 + ln least n)), and which entries have the least n.

    Frequent terms, whose a is known best, count most in a level: that speeds the sweeps up.
    """
    height = block.log_weights - log_idf[block.words]
    lowest = height < np.minimum.reduceat(height, block.filled)[block.rows] + NEAR
    weight = np.where(lowest, frequency[block.words], 0.0)
    level = np.bincount(block.rows, weight * height) / np.bincount(block.rows, weight)
    return height - level[block.rows], lowest


def _sweep(matrix: csr_array, log_idf: Floats, frequency: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What to add to ln idf, the mean of what each term's lowest entries are above their documents' levels; and which
    terms have no such entries: [V] each.
    """
    total, number = np.zeros_like(log_idf), np.zeros_like(log_idf)
    for block in _blocks(matrix):
        if len(block.words):
            above, lowest = _above_lowest(block, log_idf, frequency)
            total += np.bincount(block.words, np.where(lowest, above, 0.0), len(total))
            number += np.bincount(block.words, lowest, len(total))
    return total / np.maximum(number, 1), number == 0


def _always_repeated(
    matrix: csr_array, log_idf: Floats, frequency: Floats, lonely: NDArray[np.bool_]
) -> Floats:
    """What to add to ln idf of terms that occur several times wherever they do: from the nearest integers."""
    total, number = np.zeros_like(log_idf), np.zeros_like(log_idf)
    for block in _blocks(matrix):
        entries = np.flatnonzero(lonely[block.words])
        if entries.size:
            above, words = _above_lowest(block, log_idf, frequency)[0][entries], block.words[entries]
            nearest = np.maximum(np.rint(np.exp(np.exp(above) - 1)), 1)
            total += np.bincount(words, above - np.log(1 + np.log(nearest)), len(total))
            number += np.bincount(words, minlength=len(total))
    return total / np.maximum(number, 1)


def _integers(block: _Block, log_idf: Floats, frequency: Floats) -> tuple[NDArray[np.int32], int]:
    """n of each entry, and how many fit no integer."""
    counts = np.empty(len(block.words), np.int32)
    if not len(counts):
        return counts, 0
    ratio = np.exp(_above_lowest(block, log_idf, frequency)[0])
    fewest = np.full(len(block.filled), np.iinfo(np.int64).max)
    for lowest in LOWEST:
        open_entries = np.flatnonzero((fewest > 0)[block.rows])
        rows = block.rows[open_entries]
        estimate = np.exp(np.minimum((1 + np.log(lowest)) * ratio[open_entries] - 1, 20))
        whole = np.maximum(np.rint(estimate), 1)
        misfits = np.bincount(rows[np.abs(estimate - whole) > WHOLE], minlength=len(fewest))
        better = (misfits < fewest)[rows]
        counts[open_entries[better]] = whole[better]
        fewest = np.minimum(fewest, misfits)
    return counts, int(fewest.sum())
