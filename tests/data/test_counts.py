"""Sparse counts against the dense matrix they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from nvil_repro.data.counts import Counts, from_dense

DENSE = np.array([[0, 2, 1, 0], [0, 0, 0, 0], [3, 0, 0, 1], [0, 0, 5, 0]])


@pytest.fixture
def counts() -> Counts:
    return from_dense(DENSE)


def test_dense_and_sparse_are_one(counts: Counts) -> None:
    np.testing.assert_array_equal(counts.dense(), DENSE)
    np.testing.assert_array_equal(counts.lengths, DENSE.sum(1))
    np.testing.assert_array_equal(counts.word_totals(), DENSE.sum(0))
    assert counts.documents == 4
    assert not np.array_equal(counts._replace(counts=counts.counts + 1).dense(), DENSE)


@pytest.mark.parametrize("documents", [[3, 0], [1], [], [2, 2, 1, 0]])
def test_taking_documents_is_taking_rows(counts: Counts, documents: list[int]) -> None:
    chosen = np.array(documents, np.int64)
    np.testing.assert_array_equal(counts.take(chosen).dense(), DENSE[chosen])
