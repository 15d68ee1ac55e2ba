"""The documents' benchmark has its rows, and the dense loop does what ours does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import documents, lda, memory, rcv1
from benchmarks import many_documents as many
from benchmarks.documents import DocumentWork, dense, document_rows
from benchmarks.rows import Row
from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.models.belief_net import parameters, with_parameters
from nvil_repro.training.advance import TrainState
from nvil_repro.training.document_nets import DocumentNets, DocumentSettings
from nvil_repro.training.lda_gibbs import GibbsLdaSettings
from nvil_repro.trees import clone


def corpus(row: tuple[int, ...] = (3, 0, 1, 2, 0, 4), number: int = 30) -> Corpus:
    """The same document again and again, so that every minibatch is the same."""
    counts = from_dense(np.tile(row, (number, 1)))
    return Corpus(counts, counts, counts, tuple("abcdef"), "toy")


def test_the_dense_loop_takes_our_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.bernoulli", lambda mean: (mean > 0.5).float())
    monkeypatch.setattr(
        "nvil_repro.models.bernoulli.sample", lambda logits, uniforms: (logits > 0 * uniforms).float()
    )
    start = DocumentNets.start

    def random(method: DocumentNets) -> TrainState:
        state, generator = start(method), torch.Generator().manual_seed(0)
        noisy = [p + 0.5 + torch.randn(p.shape, generator=generator) for _, p in parameters(state.net)]
        return state._replace(net=with_parameters(state.net, noisy))

    monkeypatch.setattr(DocumentNets, "start", random)
    work = DocumentWork(corpus(), hidden=3, batch=5, chunk=2)
    settings = replace(work.settings, engine="torch")
    method = DocumentNets(settings, work.corpus.train, work.corpus.valid)
    state = method.start()
    before = clone(state.net)
    method.advance(state, 0, 2)
    (way, *_) = dense(work)
    way.run()
    decoder, encoder = way.run()
    for found, ours, begun in (
        (decoder.T, state.net.generative[0].weight, before.generative[0].weight),
        (encoder, state.net.recognition[0].bias, before.recognition[0].bias),  # of x - centre, here zero
    ):
        step = (ours - begun)[0]
        torch.testing.assert_close(found.detach() - begun[0], step, rtol=1e-3, atol=2e-7)
        assert step.abs().max() > 2e-6  # control: steps were taken


def test_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "generated", lambda words: corpus())
    monkeypatch.setattr(documents, "pyro_version", lambda: None)
    monkeypatch.setattr(lda, "find_spec", lambda name: None)  # tomotopy or not
    monkeypatch.setattr(documents, "many_documents", lambda numbers: [Row(f"{numbers[0]} documents", 1.0)])
    rows = list(document_rows(corpus(), 0.0, vocabularies=(6,), documents=(10,)))
    assert [(row.name, row.peer) for row in rows] == [
        ("SBN 50, toy", "dense loop, torch"),
        ("SBN 50, 6 words", "dense loop, torch"),
        ("LDA 50 by Gibbs, toy", ""),
        ("LDA 200 by Gibbs, toy", ""),
        ("10 documents", ""),
    ]
    assert all(min(row.ours_ms, row.peer_ms, row.floor_ms) > 0 for row in rows[:2])
    assert rows[0].note == f"minibatch 20, {1000 * 20 / 30 / rows[0].ours_ms:.1f} passes a second"


def test_tomotopy_sweeps_over_the_same_words() -> None:
    library = pytest.importorskip("tomotopy")
    settings, models = GibbsLdaSettings(topics=2), []
    with pytest.MonkeyPatch.context() as patch:
        made = library.LDAModel
        patch.setattr(library, "LDAModel", lambda **given: models.append(made(**given)) or models[0])
        (way,) = lda.tomotopy(corpus(), settings)
    way.run()
    (model,) = models
    assert (model.num_words, model.k, model.global_step) == (300, 2, lda.SWEEPS + 1)
    assert list(model.alpha) == pytest.approx([settings.alpha] * 2)


def test_systems_that_train_on_many_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from files as they were written; a pass is over every document, in whole chunks."""
    parts = {"train": corpus(number=6_000).train, "test": corpus((0, 1, 0, 0, 0, 5), 7).test}
    made = corpus()._replace(**parts)
    monkeypatch.setattr(many, "generated_corpus", lambda number: made)
    many.write(tmp_path, 6_000)
    for found, written in zip(many.read(tmp_path)[:3], made[:3], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(found, written, strict=True))
    monkeypatch.setattr(many, "read", lambda folder: corpus(number=6_000))
    trained: list[tuple[int, int, bool]] = []

    def train(settings: DocumentSettings, data: Corpus, folder: Path | None = None, **how: str) -> None:
        trained.append((data.train.documents, settings.updates, folder is not None))

    monkeypatch.setattr(many, "SYSTEMS", {many.SBN: many.SYSTEMS[many.SBN]._replace(train=train)})
    seconds, updates, before, after = many.trained(many.SBN, tmp_path)
    assert (updates, trained) == (60, [(300, 20, False), (6_000, 60, True)])
    assert seconds > 0
    assert 0 < before <= after


def test_systems_train_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really, in turn: none takes another's checkpoints for its own."""
    monkeypatch.setattr(many, "read", lambda folder: corpus(number=300))
    for name in (many.SBN, "LDA 50"):
        seconds, updates, *_ = many.trained(name, tmp_path)
        assert (seconds > 0, updates) == (True, 20)
    assert len(list(tmp_path.glob("*/checkpoint-*.json"))) >= 2  # control: both left some


def test_the_largest_number_of_documents_has_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def alone(*arguments: object) -> list[float]:
        asked.append((arguments[1], arguments[3]))
        return [2.0, 40, 512.0, 700.0]

    monkeypatch.setattr(many, "alone", alone)
    rows = list(many.many_documents((10, 20)))
    assert asked == [("write", 10), (many.SBN, 10), ("write", 20), *((name, 20) for name in many.SYSTEMS)]
    assert [row.ours_ms for row in rows] == [2_000.0] * 6
    ends = "evaluated before and after; memory 700 MB, 512 of them before training"
    assert [row.note for row in rows[1:3]] == [f"a pass, {ends}", f"40 updates, {ends}"]


def test_a_peak_can_be_forgotten() -> None:
    large = np.ones(40_000_000)
    before = memory.peak()
    del large
    assert memory.peak() > before - 20  # control: as far as the system counts
    memory.forget_peak()
    if os.access("/proc/self/clear_refs", os.W_OK):
        assert memory.peak() < before - 200


def test_a_row_for_each_format(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[object, ...]] = []

    def alone(*arguments: object) -> list[float]:
        asked.append(arguments)
        return [2.0, 99.0, 512.0]  # seconds, documents kept, MB

    monkeypatch.setattr(rcv1, "alone", alone)
    rows = list(rcv1.reading(100))
    assert [(row.ours_ms, row.note) for row in rows] == [(2000.0, "in all, 99 kept; memory 512 MB")] * 2
    assert [arguments[1] for arguments in asked] == ["write", "token files", "weights"]
    assert {arguments[3] for arguments in asked} == {100}
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.err.splitlines()] == ["generating", "reading", "reading"]
    assert not told.out  # the table's alone


def test_both_readers_find_what_was_generated(tmp_path: Path) -> None:
    rcv1.write(tmp_path, 4_000)
    made = documents.generated_corpus(4_000)
    tokens, weights = (rcv1.read(route, tmp_path, 4_000) for route in rcv1.ROUTES)
    for part in ("train", "valid", "test"):
        found, drawn = getattr(tokens, part), getattr(made, part)
        assert all(np.array_equal(a, b) for a, b in zip(found, drawn, strict=True))
        recovered = getattr(weights, part)
        assert recovered.documents == drawn.documents
        # A stem that no reference document has is without weight, and another takes its place.
        assert abs(int(recovered.lengths.sum()) / int(drawn.lengths.sum()) - 1) < 0.01
    assert len(weights.words) == len(tokens.words) == 10_000


def test_more_words_than_occur() -> None:
    made = documents.generated(10_050, documents=4_000)
    assert len(made.words) == made.train.vocabulary == made.valid.vocabulary == 10_050
    assert made.train.words.max() < 10_000
    assert made.train.documents > 3_000
