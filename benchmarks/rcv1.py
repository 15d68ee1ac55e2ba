"""RCV1-v2's two readers at full size, on generated files: time and peak memory, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from scipy.sparse import csr_array

from benchmarks.memory import alone, peak
from benchmarks.rows import Row
from nvil_repro.data.catalogue import RCV1
from nvil_repro.data.counts import Corpus, joined
from nvil_repro.data.rcv1 import REFERENCE, read_tokens
from nvil_repro.data.rcv1_corpus import TEST_DOCUMENTS, Documents, for_testing, most_frequent, split
from nvil_repro.data.rcv1_files import DOCUMENTS
from nvil_repro.data.rcv1_synthetic import (
    generate_rcv1,
    generated_blocks,
    inverse_document_frequencies,
    topic_model,
    weights,
)
from nvil_repro.data.rcv1_weights import recover_counts

ROUTES = ("token files", "weights")
WORDS = 10_000
WEIGHTS = "weights.npz"
MORE = 158  # documents beyond the reference that made the idf too, as of the real weights


def reading(documents: int = sum(DOCUMENTS)) -> Iterator[Row]:
    """From files to a corpus of the 10,000 most frequent stems, a row for each of the two formats."""
    with TemporaryDirectory() as folder:
        _tell(f"generating {documents:,} documents in both formats, minutes")
        alone("benchmarks.rcv1", "write", folder, documents)
        for route in ROUTES:
            _tell(f"reading {route}, minutes")
            seconds, kept, megabytes = alone("benchmarks.rcv1", route, folder, documents)
            note = f"in all, {kept:,.0f} kept; memory {megabytes:.0f} MB"
            yield Row(f"reading {documents:,} documents, {route}", 1000 * seconds, note=note)


def _tell(step: str) -> None:
    print(f"  {step}", file=sys.stderr, flush=True)


def write(folder: Path, documents: int) -> None:
    """The token files, and the matrix scikit-learn would have of them."""
    generate_rcv1(folder, documents=documents)
    counts = joined([block.counts for block in generated_blocks(topic_model(0), documents, 0)])
    first = np.arange(min(REFERENCE + MORE, documents // 2))
    matrix = weights(counts, inverse_document_frequencies(counts.take(first)))
    np.savez(folder / WEIGHTS, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr)


def read(route: str, folder: Path, documents: int) -> Corpus:
    """The corpus of one format."""
    if route == "weights":
        with np.load(folder / WEIGHTS) as file:
            matrix = csr_array((file["data"], file["indices"], file["indptr"]))
        stems = [f"term{number:05}" for number in range(1, matrix.shape[1] + 1)]
        found = Documents(recover_counts(matrix, min(REFERENCE, documents // 2)).blocks, stems)
        del matrix
    else:
        found, _ = read_tokens([folder / Path(file.path).name for file in RCV1.files])
    test = for_testing(documents, min(TEST_DOCUMENTS, documents // 10))
    counts, words = most_frequent(found, WORDS, test)
    del found
    return split(counts, words, test, seed=0, dataset="rcv1-generated")


if __name__ == "__main__":
    task, place, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if task == "write":
        write(place, number)
    else:
        start = perf_counter()
        corpus = read(task, place, number)
        print(perf_counter() - start, sum(part.documents for part in corpus[:3]), peak())
