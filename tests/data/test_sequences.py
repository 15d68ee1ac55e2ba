"""Sequences of words against the counts they come from."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np

from nvil_repro.data.counts import from_dense
from nvil_repro.data.sequences import Sequences, ranges, sequences, shuffled

COUNTS = from_dense(np.array([[0, 2, 1, 0], [3, 0, 0, 1], [0, 0, 1, 0]]))


def test_a_word_comes_as_often_as_it_is_counted() -> None:
    found = sequences(COUNTS)
    assert found.words.tolist() == [1, 1, 2, 0, 0, 0, 3, 2]
    assert found.starts.tolist() == [0, 3, 7, 8]
    np.testing.assert_array_equal(found.lengths, COUNTS.lengths)


def test_words_stay_in_their_document_in_the_order_of_their_uniforms() -> None:
    documents = Sequences(np.array([0, 3, 5]), np.array([7, 8, 9, 5, 6]))
    assert shuffled(documents, np.array([0.9, 0.1, 0.5, 0.2, 0.1])).words.tolist() == [8, 9, 7, 6, 5]
    orders = Counter(
        tuple(shuffled(documents, np.array([*ranks, 0.5, 0.6])).words[:3].tolist())
        for ranks in permutations([0.2, 0.4, 0.8])
    )
    assert set(orders.values()) == {1}
    assert len(orders) == 6


def test_ranges_stand_end_to_end() -> None:
    assert ranges(np.array([4, 9, 2]), np.array([7, 9, 3])).tolist() == [4, 5, 6, 2]
    assert ranges(np.array([], np.int64), np.array([], np.int64)).tolist() == []
