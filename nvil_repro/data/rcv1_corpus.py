"""From all stems of all documents to a corpus: the split of the literature, the most frequent stems of its larger part.

Hinton & Salakhutdinov (2009), whom the paper follows: 10,000 random test documents, the other 794,414 to train on, the
10,000 most frequent stems. They are taken to be those of the training documents, so that no test document has a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.hold_out import hold_out
from nvil_repro.data.vocabulary import Counted
from nvil_repro.streams import stream

TEST_DOCUMENTS = 10_000
SPLIT_SEED = 0

Mask = NDArray[np.bool_]


class Documents(NamedTuple):
    """Documents in blocks, counted over all stems; a block may know the first of them only."""

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
    totals = np.zeros(len(documents.stems), np.int64)
    first = 0
    for block in documents.blocks:
        last = first + block.documents
        totals[: block.vocabulary] += block.where(~test[first:last]).word_totals()
        first = last
    stems = sorted(np.flatnonzero(totals).tolist(), key=lambda stem: (-totals[stem], documents.stems[stem]))
    if not 1 <= words <= len(stems):
        raise ValueError(
            f"words={words}: expected between 1 and the {len(stems):,} stems of the training documents"
        )
    column = np.full(len(documents.stems), -1)
    column[stems[:words]] = np.arange(words)
    counts = _over_columns(documents.blocks, column, words)
    return counts, tuple(documents.stems[stem] for stem in stems[:words])


def split(counts: Counts, words: tuple[str, ...], test: Mask, *, seed: int, dataset: str) -> Corpus:
    """The corpus whose test documents are `test`; `seed` picks the validation documents among the others."""
    return hold_out(Counted(counts.where(~test), counts.where(test), words), dataset, seed=seed)


def _over_columns(blocks: Sequence[Counts], column: NDArray[np.int64], words: int) -> Counts:
    """`joined` of the blocks renamed, written where it stays: at full size the parts would take another 0.4 GB."""
    ends = np.cumsum([0, *(np.count_nonzero(column[block.words] >= 0) for block in blocks)])
    entries = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.int32)
    starts = [np.zeros(1, np.int64)]
    for block, first, last in zip(blocks, ends[:-1], ends[1:], strict=True):
        part = block.renamed(column, words)
        entries[0][first:last], entries[1][first:last] = part.words, part.counts
        starts.append(part.starts[1:] + first)
    return Counts(np.concatenate(starts), *entries, words)
