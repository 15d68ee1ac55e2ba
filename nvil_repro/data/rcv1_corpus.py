"""From all stems of all documents to a corpus: the split of the literature, the most frequent stems of its larger part.

Hinton & Salakhutdinov (2009), whom the paper follows: 10,000 random test documents, the other 794,414 to train on, the
10,000 most frequent stems. They are taken to be those of the training documents, so that no test document has a say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.streams import stream

TEST_DOCUMENTS = 10_000
VALIDATION_DOCUMENTS = 100
SPLIT_SEED = 0

Mask = NDArray[np.bool_]


class Documents(NamedTuple):
    """Documents in blocks, counted over all stems; a block knows its first stems[:V] only, or all."""

    blocks: Sequence[Counts]
    stems: Sequence[str]


def for_testing(documents: int, number: int = TEST_DOCUMENTS) -> Mask:
    """Which of the documents are for testing: [N], `number` of them, at random by a pinned seed.

    Errors: `ValueError` if there are not more documents than that.
    """
    if documents <= number:
        raise ValueError(f"{documents:,} documents: expected more than the {number:,} to test on")
    chosen = np.zeros(documents, bool)
    chosen[stream(SPLIT_SEED, "test documents").permutation(documents)[:number]] = True
    return chosen


def most_frequent(documents: Documents, words: int, test: Mask) -> tuple[Counts, tuple[str, ...]]:
    """All documents counted over the `words` stems that occur most often outside `test`, the most frequent first.

    Of equally frequent stems the one earlier in the alphabet. Errors: `ValueError` if there are not so many.
    """
    totals = np.zeros(len(documents.stems))
    for block, tested in _with_mask(documents.blocks, test):
        known = np.repeat(~tested, np.diff(block.starts))
        totals[: block.vocabulary] += np.bincount(
            block.words[known], weights=block.counts[known], minlength=block.vocabulary
        )
    stems = sorted(np.flatnonzero(totals).tolist(), key=lambda stem: (-totals[stem], documents.stems[stem]))
    if not 1 <= words <= len(stems):
        raise ValueError(
            f"words={words}: expected 1 to {len(stems)}, as many as stems occur in training documents"
        )
    column = np.full(len(documents.stems), -1, np.int32)
    column[stems[:words]] = np.arange(words)
    parts = [_in_columns(block, column, words) for block in documents.blocks]
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part.starts) for part in parts]))])
    entries = np.concatenate([part.words for part in parts]), np.concatenate([part.counts for part in parts])
    return Counts(starts, *entries, words), tuple(documents.stems[stem] for stem in stems[:words])


def split(counts: Counts, words: tuple[str, ...], test: Mask, *, seed: int, dataset: str) -> Corpus:
    """The corpus whose test documents are `test`; `seed` picks the 100 validation documents among the others.

    Empty documents are dropped and counted. Errors: `ValueError` if there are not enough to train on.
    """
    filled = np.diff(counts.starts) > 0
    rest = np.flatnonzero(filled & ~test)
    if len(rest) <= VALIDATION_DOCUMENTS:
        raise ValueError(
            f"{len(rest)} documents with words to train on: expected over {VALIDATION_DOCUMENTS}"
        )
    valid = np.zeros(counts.documents, bool)
    valid[rest[stream(seed, "validation documents").permutation(len(rest))[:VALIDATION_DOCUMENTS]]] = True
    return Corpus(
        train=_part(counts, filled & ~test & ~valid),
        valid=_part(counts, valid),
        test=_part(counts, filled & test),
        words=words,
        dataset=dataset,
        dropped=(int((~filled & ~test).sum()), int((~filled & test).sum())),
    )


def _with_mask(blocks: Sequence[Counts], mask: Mask) -> Iterator[tuple[Counts, Mask]]:
    first = 0
    for block in blocks:
        yield block, mask[first : first + block.documents]
        first += block.documents


def _in_columns(block: Counts, column: NDArray[np.int32], words: int) -> Counts:
    """The block's documents over the columns of its words; a negative column drops a word."""
    place = column[block.words]
    kept = place >= 0
    rows = np.repeat(np.arange(block.documents), np.diff(block.starts))[kept]
    order = np.argsort(rows * words + place[kept])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=block.documents))])
    return Counts(starts, place[kept][order], block.counts[kept][order], words)


def _part(counts: Counts, chosen: Mask) -> Counts:
    """The chosen documents; in less memory than `Counts.take`, which numbers the entries."""
    sizes = np.diff(counts.starts)
    entries = np.repeat(chosen, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[chosen])])
    return Counts(starts, counts.words[entries], counts.counts[entries], counts.vocabulary)
