"""Training on up to as many documents as RCV1-v2 has: time and memory of each system, in a process of its own.

That process reads the corpus from a file, so what it holds before training is the corpus and libraries; what it has
beyond that at its peak is what training takes, the compilation of its loops included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from benchmarks.memory import alone, forget_peak, peak
from benchmarks.rows import Row
from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.rcv1_synthetic import generated_corpus
from nvil_repro.training import docnade, document_nets, lda, lda_gibbs, replicated_softmax

SBN = "SBN 50"
PARTS = ("train", "valid", "test")


class System(NamedTuple):
    """How it is trained: by so many updates, or a pass, evaluated before and after."""

    train: Callable[..., Any]
    settings: Any
    updates: int | None
    chunk: int


SYSTEMS: Mapping[str, System] = {
    SBN: System(document_nets.train, partial(document_nets.DocumentSettings, batch_size=100), None, 20),
    "DocNADE 50": System(docnade.train, docnade.DocNadeSettings, 40, 20),
    "Replicated softmax 50": System(
        replicated_softmax.train, replicated_softmax.ReplicatedSoftmaxSettings, 40, 20
    ),
    "LDA 50": System(lda.train, lda.LdaSettings, 20, 1),
    "Gibbs LDA 50": System(lda_gibbs.train, lda_gibbs.GibbsLdaSettings, 2, 1),
}


def many_documents(numbers: Sequence[int]) -> Iterator[Row]:
    """A pass of SBN 50 over each of these numbers of generated documents, 10,000 words; a few updates of all other
    systems on the largest.
    """
    for number in numbers:
        with TemporaryDirectory() as folder:
            alone("benchmarks.many_documents", "write", folder, number)
            for name in SYSTEMS if number == max(numbers) else [SBN]:
                seconds, updates, before, after = alone("benchmarks.many_documents", name, folder, number)
                what = "a pass" if SYSTEMS[name].updates is None else f"{updates:.0f} updates"
                memory = f"memory {after:.0f} MB, {before:.0f} of them before training"
                note = f"{what}, evaluated before and after; {memory}"
                yield Row(f"{name}, {number:,} documents", 1000 * seconds, note=note)


def write(folder: Path, number: int) -> None:
    """A generated corpus, a file each part."""
    corpus = generated_corpus(number)
    for part in PARTS:
        np.savez(folder / part, **getattr(corpus, part)._asdict())


def read(folder: Path) -> Corpus:
    """What `write` wrote; the names of words do not matter."""
    parts = []
    for part in PARTS:
        with np.load(folder / f"{part}.npz") as arrays:
            fields = {name: arrays[name] for name in Counts._fields}
            parts.append(Counts(**fields)._replace(vocabulary=int(fields["vocabulary"])))
    return Corpus(*parts, tuple(f"word{n}" for n in range(parts[0].vocabulary)), "generated")


def trained(name: str, folder: Path) -> tuple[float, int, float, float]:
    """Seconds and updates of a training with checkpoints, and the memory in MB before and at its peak."""
    system, corpus = SYSTEMS[name], read(folder)
    forget_peak()
    before = peak()
    few = corpus._replace(train=corpus.train.take(np.arange(min(300, corpus.train.documents))))
    first = system.settings(updates=system.chunk, chunk=system.chunk, eval_every=system.chunk)
    system.train(first, few, progress="off")  # which compiles
    updates = system.updates
    if updates is None:
        updates = max(1, corpus.train.documents // (first.batch_size * system.chunk)) * system.chunk
    start = perf_counter()
    system.train(replace(first, updates=updates, eval_every=updates), corpus, folder / name, progress="off")
    return perf_counter() - start, updates, before, peak()


if __name__ == "__main__":
    task, place, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if task == "write":
        write(place, number)
    else:
        print(*trained(task, place))
