"""Folders and matrices of one's own: the same corpus by every road, and bad input refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.data.own import corpus_from_folder, corpus_from_matrix

WORDS = ["Cats", "cat", "dogs", "the", "x86", "ponies"]
TRAIN = np.array(
    [[2, 1, 0, 5, 1, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 9, 0, 0], [1, 3, 4, 0, 0, 2], [0, 1, 0, 0, 0, 1]]
)
TEST = np.array([[1, 0, 1, 1, 0, 0], [0, 0, 0, 2, 0, 0]])
STEMMED = ("cat", "dog", "poni")
STEMMED_TEST = [[1, 1, 0]]


def corpus(train: Any = TRAIN, test: Any = TEST, words: list[str] = WORDS, **settings: Any) -> Corpus:
    return corpus_from_matrix(train, test, words, **{"dataset": "mine", "validation": 1, **settings})


def rows(corpus: Corpus) -> list[list[int]]:
    """Training documents, validation's included, in any order."""
    return sorted(corpus.train.dense().tolist() + corpus.valid.dense().tolist())


def write(folder: Path, matrix: np.ndarray) -> Path:
    for n, counts in enumerate(matrix):
        path = folder / f"part{n % 2}" / f"{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            " ".join(word for word, count in zip(WORDS, counts, strict=True) for _ in range(count))
        )
    return folder


def test_a_matrix_goes_through_the_same_preprocessing(capsys: pytest.CaptureFixture[str]) -> None:
    ours = corpus(log_rounded=False)
    assert ours[3:] == (STEMMED, "mine", (1, 1))
    assert rows(ours) == [[0, 1, 0], [1, 0, 1], [3, 0, 0], [4, 4, 2]]
    assert ours.test.dense().tolist() == STEMMED_TEST
    assert "1 of 6 words are not letters a-z alone and left out: ['x86']" in capsys.readouterr().err
    assert rows(corpus()) == [[0, 1, 0], [1, 0, 0], [1, 0, 1], [2, 2, 1]]
    assert corpus(size=2).words == ("cat", "dog")


def test_or_its_columns_stay_as_they_are() -> None:
    ours = corpus(preprocess=False, log_rounded=False)
    assert ours.words == tuple(WORDS)
    assert rows(ours) == sorted(TRAIN.tolist())
    assert ours.dropped == (0, 0)
    with pytest.raises(ValueError, match="size=3 chooses among stems: it needs preprocess=True"):
        corpus(preprocess=False, size=3)


@pytest.mark.parametrize(
    "kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array, from_dense, np.float64]
)
def test_every_kind_of_matrix_gives_the_same_corpus(kind: Any) -> None:
    expected, ours = corpus(), corpus(kind(TRAIN), kind(TEST))
    for part, same in zip(expected[:3], ours[:3], strict=True):
        np.testing.assert_array_equal(part.dense(), same.dense())


def test_entries_of_one_place_are_added() -> None:
    twice = sparse.coo_array((np.array([1, 2, 1]), (np.array([0, 0, 1]), np.array([1, 1, 2]))), shape=(2, 6))
    assert corpus(test=twice, preprocess=False, log_rounded=False).test.dense().tolist() == [
        [0, 3, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0],
    ]  # fmt: skip


def test_a_folder_gives_the_same_corpus_as_its_matrix(tmp_path: Path) -> None:
    train, test = write(tmp_path / "mine", TRAIN), write(tmp_path / "test", TEST)
    (train / ".hidden").write_bytes(b"\xff")
    ours, expected = corpus_from_folder(train, test, validation=1), corpus()
    assert ours[3:] == expected[3:]
    assert rows(ours) == rows(expected)
    assert ours.test.dense().tolist() == expected.test.dense().tolist()
    assert corpus_from_folder(train, test, validation=1, words=1, dataset="other")[3:5] == (("cat",), "other")


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_of_the_documents_is_tested_always_the_same(tmp_path: Path, share: float) -> None:
    texts = np.eye(6, dtype=int)[[0, 2, 5]].repeat(4, 0) * np.arange(1, 13)[:, None]
    folder = write(tmp_path / "mine", texts)
    first, other = (corpus_from_folder(folder, share, seed=seed, validation=1) for seed in (0, 1))
    assert first.test.documents == {0.1: 2, 0.5: 6}[share]
    assert first.test.dense().tolist() == other.test.dense().tolist()
    assert first.train.documents + 1 + first.test.documents == 12
    assert corpus(texts, share).test.documents == first.test.documents


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, float("nan")])
def test_other_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"test={share} of 5 documents: expected a share between 0 and 1"):
        corpus(test=share)


@pytest.mark.parametrize("kind", [np.array, sparse.csr_array])
@pytest.mark.parametrize("bad", [-1.0, 0.5, float("nan"), float("inf"), 2.0**31])
def test_what_is_no_count_is_named(kind: Any, bad: float) -> None:
    matrix = TRAIN.astype(float)
    matrix[1, 2] = bad
    with pytest.raises(
        ValueError, match=rf"train: document 1 has {bad} times 'dogs'; expected a count"
    ) as error:
        corpus(kind(matrix))
    assert "not negative" in str(error.value)
    with pytest.raises(ValueError, match="test: document 1 has"):
        corpus(test=kind(matrix))


def test_what_are_no_numbers_or_too_large_sums_are_refused() -> None:
    with pytest.raises(ValueError, match=r"train holds values of type <U.*: expected counts"):
        corpus(TRAIN.astype(str))
    with pytest.raises(ValueError, match="test holds values of type object"):
        corpus(test=TEST.astype(object))
    many, more = (np.full(n, 2**30) for n in (2, 3))
    rows = np.array([1, 1, 0, 0, 0])
    twice = sparse.coo_array((np.concatenate([many, more]), (rows, rows + 2)), TRAIN.shape)
    with pytest.raises(
        ValueError, match=r"train: document 0 has word 2 3,221,225,472 times: expected counts below"
    ):
        corpus(twice)
    with pytest.raises(ValueError, match=r"test: document 1 has word 3 2,147,483,648 times: .* below 2\^31"):
        corpus(test=sparse.coo_array((many, (rows[:2], rows[:2] + 2)), TEST.shape))
    at = (np.zeros(2, int), np.zeros(2, int))
    once = sparse.coo_array((np.array([2**30, 2**30 - 1]), at), TRAIN.shape)  # control
    with pytest.raises(ValueError, match="validation=1, expected"):  # of one document: its counts were taken
        corpus(once, preprocess=False, log_rounded=False, validation=1)


@pytest.mark.parametrize("word", [-1, 6, 7])
def test_words_that_the_vocabulary_has_not_are_refused(word: int) -> None:
    """Of `Counts`, which are not checked when they are made; a word beyond would count in another document."""
    counts = from_dense(TRAIN)
    counts.words[2] = word
    with pytest.raises(ValueError, match=f"train: document 0 has word {word}: expected one of 0 to 5"):
        corpus(counts)
    counts.words[2] = 5  # control
    corpus(counts)


def test_a_vocabulary_that_disagrees_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"train has shape \(5, 6\): expected documents x 5, a column for each"
    ):
        corpus(words=WORDS[:-1])
    with pytest.raises(ValueError, match=r"test has shape \(2, 5\): expected documents x 6"):
        corpus(test=sparse.csr_array(TEST[:, :5]))
    with pytest.raises(ValueError, match=r"train has shape \(6,\)"):
        corpus(TRAIN[0])
    with pytest.raises(ValueError, match="words that name several columns: 'cat'; add these columns up"):
        corpus(words=["cat", "cat", *WORDS[2:]])


def test_corpora_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training document has a word of letters a-z"):
        corpus(TRAIN * 0)
    with pytest.raises(ValueError, match="mine: no training document"):
        corpus(TRAIN * 0, preprocess=False)
    with pytest.raises(ValueError, match="mine: no test document has a word of the vocabulary"):
        corpus(test=TEST * 0)
    with pytest.raises(ValueError, match="no such folder"):
        corpus_from_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="no files in it"):
        corpus_from_folder(tmp_path)


def test_test_documents_within_the_training_folder_are_refused(tmp_path: Path) -> None:
    inside = write(tmp_path / "mine" / "held_out", TEST)
    write(tmp_path / "mine", TRAIN)
    for train, test in ((inside.parent, inside), (inside, inside.parent), (inside, inside)):
        with pytest.raises(ValueError, match="one is in the other, so documents would be in both"):
            corpus_from_folder(train, test, validation=1)
    beside = write(tmp_path / "mine too", TEST)
    assert len(corpus_from_folder(inside.parent, beside, validation=1).test.starts) > 1  # control


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", TRAIN)
    latin = folder / "part0" / "2.txt"
    latin.write_bytes(b"caf\xe9 cats")
    with pytest.raises(ValueError, match=rf"{latin}: byte 0xe9 at 3 is not utf-8 .* encoding='latin-1'"):
        corpus_from_folder(folder, 0.4, validation=1)
    assert "caf" in corpus_from_folder(folder, 0.2, validation=1, encoding="latin-1").words
