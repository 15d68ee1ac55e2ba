"""Documents of your own, a folder of text files or a matrix of counts, made into a corpus as every other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.content import notice
from nvil_repro.data.counts import Corpus, Counts, tally
from nvil_repro.data.hold_out import VALIDATION_DOCUMENTS, hold_out
from nvil_repro.data.text import words as words_of
from nvil_repro.data.vocabulary import Counted, count_words, most_frequent_stems
from nvil_repro.streams import stream

Array = NDArray[Any]


def corpus_from_folder(
    path: str | Path,
    test: float | str | Path = 0.1,
    *,
    words: int | None = None,
    log_rounded: bool = True,
    encoding: str = "utf-8",
    seed: int = 0,
    validation: int = VALIDATION_DOCUMENTS,
    dataset: str | None = None,
) -> Corpus:
    """A corpus of the text files in a folder and its subfolders, a document each, hidden files passed over.

    test: a share of the documents, the same random ones on every machine; or a folder of test documents.
    words: the size of the vocabulary; by default 2,000, or as many as there are. log_rounded: see `load_corpus`.
    dataset: what result rows call the corpus; the folder's name by default.
    Errors: `ValueError` naming the folder, or the file and byte that is not of the encoding; if one of the two folders
    is in the other.
    """
    if isinstance(test, (str, Path)):
        _check_apart(Path(path).resolve(), Path(test).resolve())
    train = _read_folder(Path(path), encoding)
    if isinstance(test, (str, Path)):
        counted = count_words(train, _read_folder(Path(test), encoding))
    else:
        counted = _split(count_words(train, []), test)
    counted = most_frequent_stems(counted, words)
    counted = counted.log_rounded() if log_rounded else counted
    return hold_out(counted, dataset or Path(path).resolve().name, seed=seed, validation=validation)


def corpus_from_matrix(
    train: Any,
    test: Any,
    words: Sequence[str],
    *,
    dataset: str,
    size: int | None = None,
    preprocess: bool = True,
    log_rounded: bool = True,
    seed: int = 0,
    validation: int = VALIDATION_DOCUMENTS,
) -> Corpus:
    """A corpus of counts [N, V]: a scipy sparse matrix, a numpy array or `Counts`, a row each document.

    test: such a matrix, or a share of the rows of `train`. words: what the V columns count.
    preprocess: lower case, no stop words, Porter stems, the `size` most frequent (2,000, or as many as there are); if
        not, the columns stay as they are. log_rounded: see `load_corpus`.
    Errors: `ValueError` for counts that are negative or no whole numbers, naming document and word; for numbers of
    columns and words that disagree; for words that stand twice; if no document is left.
    """
    words = tuple(words)
    if repeated := [word for word, times in Counter(words).items() if times > 1]:
        raise ValueError(
            f"words that name several columns: {', '.join(map(repr, repeated[:5]))}; add these columns up"
        )
    counts = _counts(train, words, "train")
    shared = isinstance(test, (int, float))
    empty = counts.take(np.empty(0, np.int64))
    counted = Counted(counts, empty if shared else _counts(test, words, "test"), words)
    if shared:
        counted = _split(counted, test)
    if preprocess:
        counted = most_frequent_stems(_lower_case(counted), size)
    elif size is not None:
        raise ValueError(f"size={size} chooses among stems: it needs preprocess=True")
    counted = counted.log_rounded() if log_rounded else counted
    return hold_out(counted, dataset, seed=seed, validation=validation)


def _check_apart(train: Path, test: Path) -> None:
    if train in (test, *test.parents) or test in train.parents:
        raise ValueError(
            f"{test} and {train}: one is in the other, so documents would be in both; move it out"
        )


def _read_folder(folder: Path, encoding: str) -> list[list[str]]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    paths = [folder / name for name in sorted(names) if not any(part.startswith(".") for part in name.parts)]
    if not paths:
        raise ValueError(f"{folder}: {'no files in it' if folder.is_dir() else 'no such folder'}")
    documents = []
    for path in paths:
        try:
            documents.append(words_of(path.read_bytes().decode(encoding)))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: byte 0x{error.object[error.start]:02x} at {error.start:,} is not {encoding} "
                f"({error.reason}); convert the file or name its encoding, encoding='latin-1' say"
            ) from error
    return documents


def _split(counted: Counted, share: float) -> Counted:
    """Move a random share of the training documents, always the same ones, to the test."""
    documents = counted.train.documents
    tested = math.ceil(share * documents) if 0 < share < 1 else 0
    if not 0 < tested < documents:
        raise ValueError(
            f"test={share} of {documents:,} documents: expected a share between 0 and 1, or documents"
        )
    chosen = np.zeros(documents, bool)
    chosen[stream(0, "test documents").permutation(documents)[:tested]] = True
    train, test = (counted.train.take(np.flatnonzero(which)) for which in (~chosen, chosen))
    return Counted(train, test, counted.words)


def _lower_case(counted: Counted) -> Counted:
    """Words as the reader of text would find them; those that are not letters a-z alone are left out, and said."""
    lower = [word.lower() for word in counted.words]
    names = tuple(dict.fromkeys(word for word in lower if words_of(word) == [word]))
    if odd := [word for word in lower if words_of(word) != [word]]:
        notice(f"{len(odd):,} of {len(lower):,} words are not letters a-z alone and left out: {odd[:3]}, ...")
    number = {name: n for n, name in enumerate(names)}
    columns = np.array([number.get(word, -1) for word in lower], np.int64)
    train, test = (part.renamed(columns, max(len(names), 1)) for part in (counted.train, counted.test))
    return Counted(train, test, names)


def _counts(matrix: Any, words: tuple[str, ...], name: str) -> Counts:
    """Checked counts of a matrix of any of the kinds; entries given for one place several times are added."""
    rows, columns, values, shape = _entries(matrix)
    if len(shape) != 2 or shape[1] != len(words):
        raise ValueError(
            f"{name} has shape {shape}: expected documents x {len(words):,}, a column for each word"
        )
    if values.dtype.kind not in "buif":
        raise ValueError(f"{name} holds values of type {values.dtype}: expected counts, whole numbers")
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values < 2**31) & (values == np.floor(values)))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{name}: document {rows[first]} has {values[first]} times {words[columns[first]]!r}; expected a count, "
            "a whole number that is not negative"
        )
    kept = values > 0
    try:
        return tally(rows[kept], columns[kept], (shape[0], shape[1]), values[kept])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _entries(matrix: Any) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Document, word and value of the entries that are not zero, and the shape."""
    if isinstance(matrix, Counts):
        rows = np.repeat(np.arange(matrix.documents), np.diff(matrix.starts))
        return rows, matrix.words, matrix.counts, (matrix.documents, matrix.vocabulary)
    if hasattr(matrix, "tocoo"):
        entries = matrix.tocoo()
        return entries.row, entries.col, entries.data, entries.shape
    dense = np.asarray(matrix)
    if dense.ndim != 2:
        return dense, dense, dense, dense.shape
    rows, columns = np.nonzero(dense)
    return rows, columns, dense[rows, columns], dense.shape
