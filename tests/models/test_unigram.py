"""The unigram model against its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nvil_repro.data.counts import from_dense
from nvil_repro.models.unigram import log_prob, unigram

TRAIN = from_dense(np.array([[3, 0, 1], [2, 0, 0]]))


def test_frequencies_are_smoothed() -> None:
    np.testing.assert_allclose(np.exp(unigram(TRAIN).log_p), np.array([6, 1, 2]) / 9, rtol=0, atol=1e-15)
    np.testing.assert_allclose(np.exp(unigram(TRAIN, 0.5).log_p), np.array([5.5, 0.5, 1.5]) / 7.5, atol=1e-15)


def test_a_document_is_the_product_of_its_words() -> None:
    documents = from_dense(np.array([[1, 2, 0], [0, 0, 1]]))
    expected = [math.log(6 / 9) + 2 * math.log(1 / 9), math.log(2 / 9)]
    np.testing.assert_allclose(log_prob(unigram(TRAIN), documents), expected, rtol=0, atol=1e-14)


def test_sequences_of_a_length_sum_to_one() -> None:
    words = np.array(list(itertools.product(range(3), repeat=4)))
    documents = from_dense((words[:, :, None] == np.arange(3)).sum(1))
    assert np.exp(log_prob(unigram(TRAIN), documents)).sum() == pytest.approx(1, abs=1e-12)
    every_document_once = from_dense(
        np.unique(documents.dense(), axis=0)
    )  # control: sequences, not documents
    assert np.exp(log_prob(unigram(TRAIN), every_document_once)).sum() < 0.9


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smoothing=0\.0: expected a finite number above 0"):
        unigram(TRAIN, 0.0)
    with pytest.raises(ValueError, match="the documents count 4 words and the model knows 3"):
        log_prob(unigram(TRAIN), TRAIN._replace(vocabulary=4))
