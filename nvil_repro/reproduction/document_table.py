"""Table 3: every system on every corpus, trained side by side, as rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from nvil_repro.data.corpora import load_corpus
from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.rcv1 import load_rcv1
from nvil_repro.evaluation.documents import score_unigram
from nvil_repro.models.belief_net import Architecture
from nvil_repro.models.unigram import unigram
from nvil_repro.reproduction.cells import (
    DocumentCell,
    cell_hash,
    document_cells,
    kept_rows,
    passes_of,
    without_kept,
)
from nvil_repro.reproduction.document_systems import (
    PER_DOCUMENT,
    BeliefNetSystem,
    DocNadeSystem,
    GibbsLdaSystem,
    LdaSystem,
    ReplicatedSoftmaxSystem,
    System,
    perplexities,
)
from nvil_repro.reproduction.measurements import Measured, measured_file, train_and_measure
from nvil_repro.reproduction.naming import BELIEF_NETS, GIBBS, GIBBS_LDA, UNIGRAM, dims_label, parse_model
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import DOCUMENT_PROTOCOLS, NVIL
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.streams import stream
from nvil_repro.training.docnade import DocNadeSettings
from nvil_repro.training.document_nets import DocumentSettings
from nvil_repro.training.lda import LdaSettings
from nvil_repro.training.lda_gibbs import GibbsLdaSettings
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings
from nvil_repro.training.together import Job, train_together

# What log P is in the numbers that the paper prints.
HEADLINES = {
    "SBN": "bound",
    "fDARN": "bound",
    "DocNADE": "exact",
    "LDA": "left-to-right estimate",
    GIBBS_LDA: "left-to-right estimate",
    "Replicated softmax": "AIS estimate",
}


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


def raw_twins(run: Run) -> dict[str, Corpus]:
    """The run's corpora of log-rounded counts with the counts as they are, cut likewise, by name."""
    names = [name.split("-") for name in run.settings.corpora]
    twins = ["-".join([base, "raw", *size]) for base, *size in names if base != "rcv1" and "raw" not in size]
    return {
        name: _part(load(name), run.settings.train_documents, run.settings.test_documents) for name in twins
    }


def _part(corpus: Corpus, train: int, test: int) -> Corpus:
    """With fewer documents to train on it is another data set, and called so."""
    parts = _some(corpus.train, train, "training part"), _some(corpus.test, test, "test part")
    cut = f", {train:,} documents" * (train < corpus.train.documents)
    return corpus._replace(train=parts[0], test=parts[1], dataset=corpus.dataset + cut)


def _some(counts: Counts, most: int, name: str) -> Counts:
    if most >= counts.documents:
        return counts
    return counts.take(stream(0, name).permutation(counts.documents)[:most])


def table_cells(run: Run, corpora: Mapping[str, Corpus]) -> dict[DocumentCell, System]:
    """Every system of the run's table that is trained."""
    systems: dict[DocumentCell, System] = {}
    for cell in document_cells(run.settings):
        if cell.system != UNIGRAM:
            system = _belief_net if cell.protocol else _other
            systems[cell] = system(run, cell, passes_of(run.settings, cell), corpora[cell.corpus])
    return systems


def _belief_net(run: Run, cell: DocumentCell, passes: int, corpus: Corpus) -> BeliefNetSystem:
    s, (kind, layers), how = run.settings, parse_model(cell.system), DOCUMENT_PROTOCOLS[cell.protocol]
    chunk = DocumentSettings().chunk
    updates, eval_every = _schedule(passes, corpus, how.batch, chunk, s.evaluations)
    hold = round(how.hold * updates / chunk) * chunk
    training = DocumentSettings(
        layers=layers,
        updates=updates,
        architecture=Architecture(prior=kind == "fDARN"),
        seeds=_seeds(cell),
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


def _other(run: Run, cell: DocumentCell, passes: int, corpus: Corpus) -> System:
    """By the defaults of its settings, but that the replicated softmax is validated by a tenth of the chains of the
    test, and as many rungs.
    """
    s, (kind, (units,)) = run.settings, parse_model(cell.system)
    sizes = len(corpus.words), corpus.test.documents
    usual = {
        "DocNADE": DocNadeSettings(),
        "Replicated softmax": ReplicatedSoftmaxSettings(),
        "LDA": LdaSettings(),
        GIBBS_LDA: GibbsLdaSettings(),
    }
    updates = passes / _share(usual[kind], corpus)
    every = max(1, round(updates / s.evaluations))
    length: dict[str, Any] = {
        "updates": every * s.evaluations,
        "eval_every": every,
        "chunk": every,
        "seeds": _seeds(cell),
    }
    if kind == "DocNADE":
        return DocNadeSystem(DocNadeSettings(units, **length), *sizes, s.orders)
    if kind == "LDA":
        return LdaSystem(LdaSettings(units, **length), corpus.test.documents, s.particles)
    if kind == GIBBS_LDA:
        tokens = int(corpus.train.lengths.sum())
        return GibbsLdaSystem(GibbsLdaSettings(units, **length), tokens, corpus.test.documents, s.particles)
    chains = max(100, s.chains // 10)
    training = ReplicatedSoftmaxSettings(units, **length, chains=chains, rungs=s.rungs)
    return ReplicatedSoftmaxSystem(training, *sizes, s.chains, s.rungs)


def _seeds(cell: DocumentCell) -> tuple[int, ...]:
    return () if cell.seed is None else (cell.seed,)


def _schedule(passes: int, corpus: Corpus, batch: int, chunk: int, evaluations: int) -> tuple[int, int]:
    """Updates and updates between evaluations, in whole chunks."""
    updates = max(1, round(passes * corpus.train.documents / batch / chunk)) * chunk
    return updates, max(1, round(updates / evaluations / chunk)) * chunk


def passes_an_update(run: Run, corpora: Mapping[str, Corpus]) -> dict[tuple[str, str, str], float]:
    """By data set, system and protocol, as in rows: the share of the training documents that an update sees."""
    shares: dict[tuple[str, str, str], float] = {}
    for cell, system in table_cells(run, corpora).items():
        corpus, (model, protocol) = corpora[cell.corpus], _labels(cell)
        name = f"{model} {dims_label(parse_model(cell.system)[1])}"
        shares[corpus.dataset, name, protocol] = _share(system.training, corpus)
    return shares


def _share(training: Any, corpus: Corpus) -> float:
    """Of the training documents that an update sees: a sweep of Gibbs sampling sees all."""
    return 1.0 if isinstance(training, GibbsLdaSettings) else training.batch_size / corpus.train.documents


def train_table(run: Run, corpora: Mapping[str, Corpus]) -> dict[DocumentCell, Measured | None]:
    """Train and measure every system, corpus by corpus, as many at a time as there are threads; None where `run.keep`
    has its rows and the system is not here.

    An interrupted run goes on from its last checkpoints.
    """
    cells, trained = table_cells(run, corpora), dict[DocumentCell, Measured]()
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
        trained |= train_together(without_kept(run, jobs, [corpus.dataset]), corpus)
    return {cell: trained.get(cell) for cell in cells}


def table_rows(
    run: Run, systems: Mapping[DocumentCell, Measured | None], corpora: Mapping[str, Corpus]
) -> Iterator[Row]:
    """The unigram model's numbers; of every other system the validation numbers along its training and the test's; of
    None the rows that are kept.
    """
    kept = kept_rows(run, [corpus.dataset for corpus in corpora.values()])
    for cell in document_cells(run.settings):
        corpus = corpora[cell.corpus]
        row = _rows_of(run, cell, corpus.dataset)
        if cell.system == UNIGRAM:
            scores = score_unigram(unigram(corpus.train), corpus.test)
            yield from _test_rows(row, perplexities(scores, corpus))
        elif cell in systems:
            measured = systems[cell]
            yield from kept[cell] if measured is None else _system_rows(row, cell, measured)


def _system_rows(row: Callable[..., Row], cell: DocumentCell, measured: Measured) -> Iterator[Row]:
    result, test = measured
    yield from curve_rows(row, result.history)
    common: dict[str, Any] = {"updates": result.updates, "seconds": result.seconds}
    yield from _test_rows(partial(row, **common), test)
    if not test:
        note = f"diverged at update {min(result.diverged.values())}"
        kind = HEADLINES[parse_model(cell.system)[0]]
        yield row(metric=PER_DOCUMENT, variant=kind, split="test", value=math.nan, note=note, **common)


def _rows_of(run: Run, cell: DocumentCell, dataset: str) -> Callable[..., Row]:
    (model, protocol), (_, layers) = _labels(cell), parse_model(cell.system)
    method = NVIL if model in BELIEF_NETS else ""
    return partial(
        result_row, run, dataset=dataset, model=model, layers=layers, method=method, protocol=protocol,
        seed=cell.seed, threads=None if cell.system == UNIGRAM else 1,
        settings_hash=cell_hash(run.experiment, run.settings, cell),
    )  # fmt: skip


def _labels(cell: DocumentCell) -> tuple[str, str]:
    """Model and protocol in its rows. The paper prints one LDA, whichever way it is fitted."""
    kind, _ = parse_model(cell.system)
    return ("LDA", GIBBS) if kind == GIBBS_LDA else (kind, cell.protocol)


def _test_rows(row: Callable[..., Row], test: Mapping[str, tuple[float, float, int, str]]) -> Iterator[Row]:
    for key, (value, stderr, n, note) in test.items():
        metric, kind, split = (*key.split("/"), "test")[:3]
        yield row(metric=metric, variant=kind, split=split, value=value, stderr=stderr, n=n, note=note)
