"""Counts back from weights: exact on generated documents, and refused where they are no such weights."""

from __future__ import annotations

import numpy as np
import pytest

from nvil_repro.data import rcv1_weights
from nvil_repro.data.counts import Counts, from_dense
from nvil_repro.data.rcv1_synthetic import (
    generated_blocks,
    inverse_document_frequencies,
    topic_model,
    weights,
)
from nvil_repro.data.rcv1_weights import recover_counts

pytest.importorskip("scipy")

REFERENCE = 300  # documents that make the idf, of which the matrix has all but the first few
HIDDEN = 3


@pytest.fixture(scope="module")
def documents() -> Counts:
    blocks = [block.counts.dense() for block in generated_blocks(topic_model(0, stems=2000), 1200, seed=0)]
    return from_dense(np.concatenate(blocks))


def known(counts: Counts) -> tuple[Counts, np.ndarray]:
    """The documents the matrix has, without the stems it has no weights of; and the idf."""
    idf = inverse_document_frequencies(counts.take(np.arange(REFERENCE)))
    dense = counts.take(np.arange(HIDDEN, counts.documents)).dense()
    dense[:, idf == 0] = 0
    return from_dense(dense), idf


def dense(blocks: list[Counts]) -> np.ndarray:
    return np.concatenate([block.dense() for block in blocks])


def undecidable(matrix: np.ndarray) -> np.ndarray:
    """Documents whose words all occur equally often, and more than once."""
    least = np.where(matrix > 0, matrix, np.iinfo(np.int64).max).min(1)
    return (least > 1) & (matrix.max(1) == least)


@pytest.mark.parametrize("block", [100, 20_000])
def test_counts_are_recovered_exactly(documents: Counts, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rcv1_weights, "BLOCK", block)
    counts, idf = known(documents)
    recovered = recover_counts(weights(counts, idf), REFERENCE - HIDDEN)
    expected = counts.dense()
    assert recovered.misfits == 0
    assert expected.max() > 20
    wrong = np.flatnonzero((dense(recovered.blocks) != expected).any(1))
    assert undecidable(expected)[wrong].all()
    assert len(wrong) <= 1


def test_the_start_alone_is_not_exact(documents: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeps are needed: without them the idf of a few hidden documents is missed."""
    counts, idf = known(documents)
    monkeypatch.setattr(rcv1_weights, "SWEEPS", 0)
    monkeypatch.setattr(rcv1_weights, "MOST_MISFITS", 1.0)
    assert recover_counts(weights(counts, idf), REFERENCE - HIDDEN).misfits > 0.05 * len(counts.words)


def test_an_idf_that_differs_somewhat_does_no_harm(documents: Counts) -> None:
    counts, idf = known(documents)
    idf = idf * np.exp(0.02 * np.random.default_rng(0).standard_normal(len(idf)))
    recovered = recover_counts(weights(counts, idf), REFERENCE - HIDDEN)
    wrong = np.count_nonzero(dense(recovered.blocks) != counts.dense())
    assert wrong < 1e-3 * len(counts.words)
    assert recovered.misfits < 1e-3 * len(counts.words)


@pytest.mark.parametrize("least", [2, 3, 4])
def test_a_document_without_a_word_that_occurs_once(documents: Counts, least: int) -> None:
    """Its other counts tell: only from the true least one are they whole."""
    counts, idf = known(documents)
    matrix = counts.dense()
    columns = np.flatnonzero(idf)[:4]
    matrix[-1] = 0
    matrix[-1, columns] = [least, least, 2 * least + 1, 7 * least + 1]
    recovered = recover_counts(weights(from_dense(matrix), idf), REFERENCE - HIDDEN)
    np.testing.assert_array_equal(recovered.blocks[-1].dense()[-1, columns], matrix[-1, columns])


def test_empty_rows_and_unsorted_columns_are_no_obstacle(documents: Counts) -> None:
    counts, idf = known(documents)
    expected = counts.dense()
    expected[[0, 500, -1]] = 0
    matrix = weights(from_dense(expected), idf)
    row = slice(*matrix.indptr[1:3])
    matrix.indices[row], matrix.data[row] = matrix.indices[row][::-1].copy(), matrix.data[row][::-1].copy()
    matrix.has_sorted_indices = False
    recovered = recover_counts(matrix, REFERENCE - HIDDEN)
    np.testing.assert_array_equal(recovered.blocks[0].words[row], np.flatnonzero(expected[1]))
    assert (dense(recovered.blocks) != expected).any(1).sum() <= 1


def test_weights_that_are_no_logarithms_are_refused(documents: Counts) -> None:
    counts, idf = known(documents)
    matrix = weights(counts, idf)
    matrix.data = np.sqrt(counts.counts) * idf[counts.words]
    with pytest.raises(
        ValueError, match=r"[\d,]+ of [\d,]+ weights fit no integer count; expected \(1 \+ ln n\) idf"
    ):
        recover_counts(matrix, REFERENCE - HIDDEN)


@pytest.mark.parametrize("value", [0.0, -0.5, np.nan, np.inf])
def test_a_weight_that_is_none_is_named(documents: Counts, value: float) -> None:
    counts, idf = known(documents)
    matrix = weights(counts, idf)
    row = 7
    matrix.data[matrix.indptr[row] + 2] = value
    column = matrix.indices[matrix.indptr[row] + 2]
    with pytest.raises(
        ValueError, match=rf"weight {value} in row {row}, column {column}: expected a positive"
    ):
        recover_counts(matrix, REFERENCE - HIDDEN)
