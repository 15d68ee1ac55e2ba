"""Table 3: every system on every corpus, trained side by side, as rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from nvil_repro.data.corpora import load_corpus
from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.rcv1 import load_rcv1
from nvil_repro.evaluation.documents import score_unigram
from nvil_repro.models.belief_net import Architecture
from nvil_repro.models.unigram import unigram
from nvil_repro.reproduction.document_systems import (
    PER_DOCUMENT,
    BeliefNetSystem,
    DocNadeSystem,
    LdaSystem,
    ReplicatedSoftmaxSystem,
    System,
    perplexities,
)
from nvil_repro.reproduction.measurements import Measured, measured_file, train_and_measure
from nvil_repro.reproduction.naming import UNIGRAM, parse_model
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import DOCUMENT_PROTOCOLS, NVIL
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.streams import stream
from nvil_repro.training.docnade import DocNadeSettings
from nvil_repro.training.document_nets import DocumentSettings
from nvil_repro.training.lda import LdaSettings
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings
from nvil_repro.training.together import Job, train_together

BELIEF_NETS = ("SBN", "fDARN")
HEADLINES = {"SBN": "bound", "fDARN": "bound", "DocNADE": "exact"}  # the others': estimate


class Cell(NamedTuple):
    """One trained system: a row and column of the table, a protocol and a seed."""

    corpus: str
    system: str
    protocol: str
    seed: int


def load(name: str) -> Corpus:
    """A corpus by its name in the settings, the size of its vocabulary at the end if it is not the usual one.

    Errors: `DataUnavailableError`.
    """
    if name == "rcv1":
        return load_rcv1()
    base, _, size = name.rpartition("-")
    return load_corpus(base, words=int(size)) if size.isdigit() else load_corpus(name, words=None)


def load_all(run: Run) -> dict[str, Corpus]:
    """Every corpus of the run by name, with at most so many random documents as it says."""
    s = run.settings
    return {name: _part(load(name), s.train_documents, s.test_documents) for name in s.corpora}


def _part(corpus: Corpus, train: int, test: int) -> Corpus:
    """With fewer documents to train on it is another data set, and called so."""
    parts = _some(corpus.train, train, "training part"), _some(corpus.test, test, "test part")
    cut = f", {train:,} documents" * (train < corpus.train.documents)
    return corpus._replace(train=parts[0], test=parts[1], dataset=corpus.dataset + cut)


def _some(counts: Counts, most: int, name: str) -> Counts:
    if most >= counts.documents:
        return counts
    return counts.take(stream(0, name).permutation(counts.documents)[:most])


def table_cells(run: Run, corpora: Mapping[str, Corpus]) -> dict[Cell, System]:
    """Every system of the run's table that is trained."""
    s = run.settings
    systems = [system for system in s.systems if system != UNIGRAM]
    cells: dict[Cell, System] = {}
    for name, corpus in corpora.items():
        for system in systems:
            if parse_model(system)[0] not in BELIEF_NETS:
                for seed in s.seeds[0]:
                    cells[Cell(name, system, "", seed)] = _other(run, system, seed, corpus)
                continue
            for protocol, passes, seeds in zip(s.protocols, s.passes, s.seeds, strict=True):
                for seed in seeds:
                    cell = Cell(name, system, protocol, seed)
                    cells[cell] = _belief_net(run, cell, passes, corpus)
    return cells


def _belief_net(run: Run, cell: Cell, passes: int, corpus: Corpus) -> BeliefNetSystem:
    s, (kind, layers), how = run.settings, parse_model(cell.system), DOCUMENT_PROTOCOLS[cell.protocol]
    chunk = DocumentSettings().chunk
    updates, eval_every = _schedule(passes, corpus, how.batch, chunk, s.evaluations)
    hold = round(how.hold * updates / chunk) * chunk
    training = DocumentSettings(
        layers=layers,
        updates=updates,
        architecture=Architecture(prior=kind == "fDARN"),
        seeds=(cell.seed,),
        optimiser=Optimiser(how.optimiser, centre=how.centre),
        rate=how.rate,
        inference_rate=how.inference_rate,
        baseline_rate=how.baseline_rate,
        decay_from=hold if hold < updates else None,
        batch_size=how.batch,
        weight_decay=how.weight_decay,
        eval_every=eval_every,
        validation_samples=s.bound_samples,
    )
    effort = (s.bound_samples, s.importance_samples, s.importance_documents)
    return BeliefNetSystem(training, len(corpus.words), corpus.test.documents, *effort)


def _other(run: Run, system: str, seed: int, corpus: Corpus) -> System:
    """By the defaults of its settings, for no more than `other_passes`."""
    s, (kind, (units,)), sizes = run.settings, parse_model(system), (len(corpus.words), corpus.test.documents)
    usual: dict[str, DocNadeSettings | ReplicatedSoftmaxSettings | LdaSettings]
    usual = {
        "DocNADE": DocNadeSettings(),
        "Replicated softmax": ReplicatedSoftmaxSettings(),
        "LDA": LdaSettings(),
    }
    updates = min(s.other_passes, OWN_PASSES[kind]) * corpus.train.documents / usual[kind].batch_size
    every = max(1, round(updates / s.evaluations))
    length: dict[str, Any] = {
        "updates": every * s.evaluations,
        "eval_every": every,
        "chunk": every,
        "seeds": (seed,),
    }
    if kind == "DocNADE":
        return DocNadeSystem(DocNadeSettings(units, **length), *sizes, s.orders)
    if kind == "LDA":
        return LdaSystem(LdaSettings(units, **length), corpus.test.documents, s.particles)
    return ReplicatedSoftmaxSystem(ReplicatedSoftmaxSettings(units, **length), *sizes, s.chains, s.rungs)


OWN_PASSES = {"LDA": 20, "DocNADE": 54, "Replicated softmax": 80}


def _schedule(passes: int, corpus: Corpus, batch: int, chunk: int, evaluations: int) -> tuple[int, int]:
    """Updates and updates between evaluations, in whole chunks."""
    updates = max(1, round(passes * corpus.train.documents / batch / chunk)) * chunk
    return updates, max(1, round(updates / evaluations / chunk)) * chunk


def train_table(run: Run, corpora: Mapping[str, Corpus]) -> dict[Cell, Measured]:
    """Train and measure every system, corpus by corpus, as many at a time as there are threads.

    An interrupted run goes on from its last checkpoints.
    """
    cells, measured = table_cells(run, corpora), dict[Cell, Measured]()
    for name, corpus in corpora.items():
        jobs = {}
        for cell, system in cells.items():
            if cell.corpus == name:
                label = ", ".join(filter(None, (cell.system, cell.protocol, f"seed {cell.seed}")))
                folder = run_folder(run, corpus.dataset, label, system.training, system.module)
                updates, product = system.training.updates, measured_file(system)
                jobs[cell] = Job(
                    train_and_measure, system, folder, label, updates, system.multiply_adds, product
                )
        measured |= train_together(jobs, corpus)
    return measured


def table_rows(run: Run, systems: Mapping[Cell, Measured], corpora: Mapping[str, Corpus]) -> Iterator[Row]:
    """The unigram model's numbers; of every other system the validation numbers along its training and the test's."""
    for name, corpus in corpora.items():
        if UNIGRAM in run.settings.systems:
            scores = score_unigram(unigram(corpus.train), corpus.test)
            plain = partial(result_row, run, dataset=corpus.dataset, model=UNIGRAM, layers=(), method="")
            yield from _test_rows(plain, perplexities(scores, corpus))
        for cell, (result, test) in systems.items():
            if cell.corpus == name:
                row = _rows_of(run, cell, corpus.dataset)
                yield from _curve(row, result.history)
                common: dict[str, Any] = {"updates": result.updates, "seconds": result.seconds}
                yield from _test_rows(partial(row, **common), test)
                if not test:
                    note = f"diverged at update {min(result.diverged.values())}"
                    kind = HEADLINES.get(parse_model(cell.system)[0], "estimate")
                    yield row(
                        metric=PER_DOCUMENT, variant=kind, split="test", value=math.nan, note=note, **common
                    )


def _rows_of(run: Run, cell: Cell, dataset: str) -> Callable[..., Row]:
    kind, layers = parse_model(cell.system)
    method = NVIL if kind in BELIEF_NETS else ""
    return partial(
        result_row, run, dataset=dataset, model=kind, layers=layers, method=method, protocol=cell.protocol,
        seed=cell.seed, threads=1,
    )  # fmt: skip


def _curve(row: Callable[..., Row], history: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for point in history:
        if point["split"] == "valid":
            shared = ("metric", "split", "value", "n", "updates", "seconds", "note")
            stderr = None if math.isnan(point["stderr"]) else point["stderr"]
            yield row(stderr=stderr, **{name: point[name] for name in shared})


def _test_rows(row: Callable[..., Row], test: Mapping[str, tuple[float, float, int, str]]) -> Iterator[Row]:
    for key, (value, stderr, n, note) in test.items():
        metric, _, kind = key.partition("/")
        yield row(metric=metric, variant=kind, split="test", value=value, stderr=stderr, n=n, note=note)
