"""Documents as sequences of words: what models read that see one word after another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts


class Sequences(NamedTuple):
    """Documents n = 0..N-1, word after word; document n is words[starts[n] : starts[n + 1]]."""

    starts: NDArray[np.int64]  # [N + 1]
    words: NDArray[np.int64]  # [tokens]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each document: [N]."""
        return np.diff(self.starts)


def sequences(counts: Counts) -> Sequences:
    """A word counted three times comes three times, one after another; the words rise within a document."""
    starts = np.concatenate([[0], np.cumsum(counts.lengths)])
    return Sequences(starts, np.repeat(counts.words.astype(np.int64), counts.counts))


def shuffled(documents: Sequences, uniforms: NDArray[np.floating]) -> Sequences:
    """The words of every document in the order of their uniforms [tokens]: every order is equally probable."""
    order = np.lexsort((uniforms, np.repeat(np.arange(len(documents.lengths)), documents.lengths)))
    return Sequences(documents.starts, documents.words[order])


def ranges(begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin[0] .. end[0] - 1, begin[1] .. end[1] - 1 and so on, end to end."""
    sizes = end - begin
    offsets = np.cumsum(sizes) - sizes
    return np.repeat(begin - offsets, sizes) + np.arange(sizes.sum())
