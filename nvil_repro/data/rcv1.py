"""RCV1-v2 as a corpus: from the official token files or, where they are out of reach, from scikit-learn's weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nvil_repro.data.catalogue import RCV1
from nvil_repro.data.content import Attempt, CorruptDataError, DataUnavailableError, notice
from nvil_repro.data.corpus_cache import Built, cached, source_hash
from nvil_repro.data.counts import Corpus
from nvil_repro.data.rcv1_corpus import Documents, for_testing, most_frequent, split
from nvil_repro.data.rcv1_files import DOCUMENTS, IDS, token_files
from nvil_repro.data.rcv1_tokens import Stems, token_blocks
from nvil_repro.data.rcv1_weights import recover_counts

REFERENCE = DOCUMENTS[0]  # the first documents, which (with 158 more) made the weights' idf
# What makes counts of files.
CODE = ("rcv1.py", "rcv1_corpus.py", "rcv1_tokens.py", "rcv1_weights.py", "counts.py")


def load_rcv1(*, words: int = 10_000, seed: int = 0) -> Corpus:
    """RCV1-v2 over its most frequent stems, 10,000 random documents to test on; `seed` picks those to validate on.

    Dataset "rcv1" from the token files, "rcv1-weights" from the weights, whose stems have numbers only. Built once,
    then read from the per-user cache. No hash of the token files is published; `rcv1_documents` says what it was.
    Errors: `ValueError` for more words than there are, `CorruptDataError` for a file that is not as it should be,
    `DataUnavailableError` with every place tried.
    """
    built = rcv1_documents(words)
    test = for_testing(built.counts.documents)
    return split(built.counts, built.words, test, seed=seed, dataset=built.facts["dataset"])


def rcv1_documents(words: int) -> Built:
    """All documents in the order of the files, empty ones too, over the most frequent stems outside the test part.

    Facts: the dataset's name; the SHA-256 of each token file as it is stored, or how many weights fitted no integer.
    """
    attempts: list[Attempt] = []
    try:
        return _from_tokens(words)
    except DataUnavailableError as error:
        attempts += error.attempts
    try:
        return _from_weights(words)
    except (ImportError, OSError) as error:
        attempts.append(Attempt("sklearn.datasets.fetch_rcv1", f"{type(error).__name__}: {error}"))
    attempts.append(Attempt("package index", "no package is known to hold RCV1-v2"))
    raise DataUnavailableError(RCV1, attempts)


def read_tokens(paths: list[Path], numbers: tuple[int, ...] | None = None) -> tuple[Documents, list[int]]:
    """Every document of token files, and the ids; `numbers` says how many documents each must hold, if that is known.

    Errors: those of `token_blocks`.
    """
    stems, seen = Stems(), set[int]()
    blocks, ids = [], []
    for path, number in zip(paths, numbers or (None,) * len(paths), strict=True):
        for block in token_blocks(path, stems, seen, documents=number):
            blocks.append(block.counts)
            ids += block.ids
    return Documents(blocks, [stem.decode("ascii") for stem in stems]), ids


def _from_tokens(words: int) -> Built:
    paths = token_files()
    hashes = {path.name: _sha256(path) for path in paths}

    def build() -> Built:
        notice(f"building RCV1-v2 from {paths[0].parent}; this takes a minute or two, once")
        documents, ids = read_tokens(paths, DOCUMENTS)
        if strange := [number for number in ids if not IDS[0] <= number <= IDS[1]]:
            raise CorruptDataError(
                f"document {strange[0]} in {paths[0].parent} is none of RCV1-v2's {IDS[0]}-{IDS[1]}"
            )
        counts, names = most_frequent(documents, words, for_testing(len(ids)))
        return Built(counts, names, {"dataset": "rcv1", "sha256": hashes})

    return cached("rcv1", {"files": hashes, "words": words, "code": source_hash(*CODE)}, build)


def _from_weights(words: int) -> Built:
    def build() -> Built:
        from sklearn.datasets import fetch_rcv1

        notice("RCV1-v2's token files cannot be had; asking scikit-learn for its weights")
        matrix = fetch_rcv1().data
        documents, terms = matrix.shape
        recovered = recover_counts(matrix, REFERENCE)
        del matrix
        stems = [f"term{number:05}" for number in range(1, terms + 1)]
        counts, names = most_frequent(Documents(recovered.blocks, stems), words, for_testing(documents))
        return Built(counts, names, {"dataset": "rcv1-weights", "misfits": recovered.misfits})

    return cached("rcv1-weights", {"words": words, "code": source_hash(*CODE)}, build)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
