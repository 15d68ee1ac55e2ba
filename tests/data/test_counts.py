"""Sparse counts against the dense matrix they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from nvil_repro.data.counts import Counts, from_dense, joined, tally

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


def test_totals_in_parts(counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nvil_repro.data.counts.ENTRIES", 2)
    np.testing.assert_array_equal(counts.word_totals(), DENSE.sum(0))


@pytest.mark.parametrize("documents", [[3, 0], [1], [], [2, 2, 1, 0]])
def test_taking_documents_is_taking_rows(counts: Counts, documents: list[int]) -> None:
    chosen = np.array(documents, np.int64)
    np.testing.assert_array_equal(counts.take(chosen).dense(), DENSE[chosen])


@pytest.mark.parametrize("documents", [[0, 2, 3], [1], [], [0, 1, 2, 3]])
def test_the_documents_of_a_mask_are_those_taken(counts: Counts, documents: list[int]) -> None:
    mask = np.isin(np.arange(4), documents)
    for masked, taken in zip(counts.where(mask), counts.take(np.array(documents, np.int64)), strict=True):
        np.testing.assert_array_equal(masked, taken)


def test_tokens_in_any_order_are_tallied(counts: Counts) -> None:
    documents, words = np.nonzero(DENSE)
    groups = np.concatenate(
        [np.stack([documents, words, DENSE[documents, words] - 1]), [documents, words, 0 * words + 1]], 1
    )
    shuffled = groups[:, np.random.default_rng(0).permutation(groups.shape[1])]
    tallied = tally(shuffled[0], shuffled[1], DENSE.shape, shuffled[2])
    for field, expected in zip(tallied, counts, strict=True):
        np.testing.assert_array_equal(field, expected)
        assert np.asarray(field).dtype == np.asarray(expected).dtype
    ones = tally(shuffled[0], shuffled[1], DENSE.shape)
    np.testing.assert_array_equal(ones.dense(), 2 * (DENSE > 0))


@pytest.mark.parametrize("names", [[1, 0, 0, 1], [-1, 2, -1, 0], [-1, -1, -1, -1]])
def test_renaming_words_adds_columns(counts: Counts, names: list[int]) -> None:
    expected = np.zeros((4, 3), int)
    for word, name in enumerate(names):
        if name >= 0:
            expected[:, name] += DENSE[:, word]
    np.testing.assert_array_equal(counts.renamed(np.array(names), 3).dense(), expected)


def test_parts_are_joined_one_after_another(counts: Counts) -> None:
    parts = [counts.take(np.array(some, np.int64)) for some in ([0, 1], [], [2, 3])]
    np.testing.assert_array_equal(joined(parts).dense(), DENSE)
    assert not np.array_equal(joined(parts[::-1]).dense(), DENSE)
