"""Empty documents go, validation documents are random, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.data.hold_out import hold_out
from nvil_repro.data.vocabulary import Counted

TRAIN = np.array([[0, 0], [1, 2], [3, 0], [0, 4], [0, 0], [5, 5], [6, 1]])
TEST = np.array([[0, 7], [0, 0], [8, 0]])
COUNTED = Counted(from_dense(TRAIN), from_dense(TEST), ("a", "b"))


def held(seed: int, validation: int = 2) -> Corpus:
    return hold_out(COUNTED, "toy", seed=seed, validation=validation)


def test_training_documents_are_divided_and_keep_their_order() -> None:
    full = [row for row in TRAIN.tolist() if sum(row)]
    held_out = set()
    for seed in range(20):
        corpus = held(seed)
        train, valid = corpus.train.dense().tolist(), corpus.valid.dense().tolist()
        assert sorted(train + valid) == sorted(full)
        assert train == [row for row in full if row not in valid]
        assert len(valid) == 2
        assert corpus.test.dense().tolist() == [[0, 7], [8, 0]]
        assert corpus[3:] == (("a", "b"), "toy", (2, 1))
        held_out.add(tuple(map(tuple, valid)))
    assert len(held_out) > 5
    np.testing.assert_array_equal(held(3).valid.dense(), held(3).valid.dense())


@pytest.mark.parametrize("validation", [0, 5, 100])
def test_something_is_left_to_train_on(validation: int) -> None:
    with pytest.raises(
        ValueError, match=f"toy: validation={validation}, expected .* fewer than the 5 training"
    ):
        held(0, validation)


def test_corpora_of_empty_documents_are_refused() -> None:
    empty = from_dense(np.zeros((3, 2), int))
    for counted, name in (
        (COUNTED._replace(train=empty), "training"),
        (COUNTED._replace(test=empty), "test"),
    ):
        with pytest.raises(ValueError, match=f"toy: no {name} document has a word of the vocabulary"):
            hold_out(counted, "toy", validation=1)
