"""Words to stems to a vocabulary, against counting by hand."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from nvil_repro.data.counts import from_dense
from nvil_repro.data.vocabulary import Counted, count_words, most_frequent_stems, stop_words

TRAIN = [["the", "cats", "relational", "cat"], [], ["dog", "the", "ponies", "relate", "pony", "dog", "cat"]]
TEST = [["zebra", "dogs"], ["the"]]


def test_every_word_is_counted() -> None:
    train, test, words = count_words(TRAIN, TEST)
    assert words == ("the", "cats", "relational", "cat", "dog", "ponies", "relate", "pony", "zebra", "dogs")
    for part, documents in ((train, TRAIN), (test, TEST)):
        expected = [[document.count(word) for word in words] for document in documents]
        np.testing.assert_array_equal(part.dense(), expected)


def test_the_most_frequent_stems_of_training_in_order() -> None:
    train, test, words = most_frequent_stems(count_words(TRAIN, TEST), 4)
    assert words == ("cat", "dog", "poni", "relat"), "by count, then by the alphabet"
    np.testing.assert_array_equal(train.dense(), [[2, 0, 0, 1], [0, 0, 0, 0], [1, 2, 2, 1]])
    np.testing.assert_array_equal(test.dense(), [[0, 1, 0, 0], [0, 0, 0, 0]])
    smaller = most_frequent_stems(count_words(TRAIN, TEST), 1)
    np.testing.assert_array_equal(smaller.train.dense(), [[2], [0], [1]])


def test_stems_of_test_documents_alone_are_no_words() -> None:
    assert "zebra" not in most_frequent_stems(count_words(TRAIN, TEST), None).words
    assert "zebra" in most_frequent_stems(count_words(TRAIN + TEST, []), None).words
    with pytest.raises(ValueError, match="words=5: expected between 1 and the 4 stems"):
        most_frequent_stems(count_words(TRAIN, TEST), 5)
    with pytest.raises(ValueError, match="no training document has a word"):
        most_frequent_stems(count_words([["the"], []], TEST), None)


def test_the_stop_list_is_the_published_one() -> None:
    words = stop_words()
    assert len(words) == 571
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    assert digest == "32ad5272f2e3a92b095d1e30b1db9efd9ffa8efae1e3e6fe27a5395bad8326b4"
    assert {"the", "don't", "zero"} < set(words)


def test_log_rounding() -> None:
    counts = np.array([[1, 2, 3, 4, 10, 11, 12, 100, 10_000]])
    rounded = Counted(from_dense(counts), from_dense(counts), tuple("abcdefghi")).log_rounded()
    assert rounded.train.dense().tolist() == [[1, 1, 1, 2, 2, 2, 3, 5, 9]]
    assert rounded.test.dense().tolist() == [[round(math.log(1 + n)) for n in counts[0]]]
