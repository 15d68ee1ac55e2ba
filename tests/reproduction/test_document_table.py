"""Table 3 from its settings to its numbers, on a corpus of a dozen words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import Corpus, Counts, from_dense
from nvil_repro.evaluation.document_bounds import document_bounds, document_estimates
from nvil_repro.evaluation.documents import score_docnade, score_lda
from nvil_repro.evaluation.importance import random_part
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.evaluation.perplexity import carried_perplexity
from nvil_repro.evaluation.replicated_softmax import exact_log_partition
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction import document_table, document_views
from nvil_repro.reproduction.cells import DocumentCell as Cell
from nvil_repro.reproduction.cells import document_cells, expected_hashes
from nvil_repro.reproduction.document_figures import perplexity_points
from nvil_repro.reproduction.document_systems import PER_CORPUS, PER_DOCUMENT, BeliefNetSystem, DocNadeSystem
from nvil_repro.reproduction.document_table import load, table_cells, table_rows, train_table
from nvil_repro.reproduction.measurements import Measured, train_and_measure
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings

SYSTEMS = ["unigram", "SBN 3", "fDARN 2", "LDA 2", "Replicated softmax 3", "DocNADE 3"]
SIZES = {"evaluations": 2, "importance_samples": 50, "importance_documents": 20, "chains": 300, "rungs": 200}


def make_run(folder: Path, **changes: Any) -> Run:
    given = {"systems": SYSTEMS, "passes": [60], "other_passes": 30, **SIZES, **changes}
    return parameters({"profile": "smoke", **given, "results_dir": str(folder)}, "document_perplexity")


def documents(count: int, seed: int) -> Counts:
    """Of two topics that share no word."""
    generator = np.random.default_rng(seed)
    topics = np.kron(np.eye(2), generator.dirichlet(np.ones(6)))
    lengths = generator.integers(4, 15, count)
    return from_dense(np.stack([generator.multinomial(n, topics[i % 2]) for i, n in enumerate(lengths)]))


@pytest.fixture(scope="module")
def corpora() -> dict[str, Corpus]:
    words = tuple("abcdefghijkl")
    return {"20news": Corpus(documents(300, 0), documents(40, 1), documents(60, 2), words, "toy")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def systems(run: Run, corpora: dict[str, Corpus]) -> dict[Cell, Measured]:
    torch.set_num_threads(1)
    return train_table(run, corpora)


@pytest.fixture(scope="module")
def rows(run: Run, systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> list[Row]:
    return list(table_rows(run, systems, corpora))


def found(rows: list[Row], model: str, kind: str, metric: str = PER_DOCUMENT) -> Row:
    (row,) = [r for r in rows if (r.model, r.variant, r.metric, r.split) == (model, kind, metric, "test")]
    return row


def test_cells_are_systems_by_protocols_by_their_own_seeds(
    tmp_path: Path, corpora: dict[str, Corpus]
) -> None:
    run = make_run(tmp_path, protocols=["improved", "literal"], passes=[10, 20], seeds=[[0, 1], [5]])
    cells = table_cells(run, corpora)
    assert len(cells) == 2 * 3 + 3 * 2  # belief nets by protocol and seed, the others by the first seeds
    literal = cells[Cell("20news", "SBN 3", "literal", 5)].training
    assert (literal.updates, literal.rate, literal.decay_from, literal.layers) == (300, 3e-5, None, (3,))
    improved = cells[Cell("20news", "fDARN 2", "improved", 1)].training
    assert (improved.updates, improved.decay_from, improved.seeds) == (150, 0, (1,))
    assert improved.architecture == Architecture(prior=True)
    rates = improved.rate, improved.inference_rate, improved.baseline_rate, improved.weight_decay
    assert rates == (1e-4, 5e-4, 3e-5, 0.2)
    softmax = cells[Cell("20news", "Replicated softmax 3", "", 1)].training
    assert isinstance(softmax, ReplicatedSoftmaxSettings)
    assert (softmax.hidden, softmax.seeds) == (3, (1,))
    assert (softmax.chains, softmax.rungs) == (100, 200)  # of the test's 300, a tenth would be too few


def test_every_system_says_what_its_log_p_is(rows: list[Row]) -> None:
    kinds = {(r.model, r.variant) for r in rows if r.split == "test" and r.metric == PER_DOCUMENT}
    assert kinds == {
        ("unigram", "exact"), ("SBN", "bound"), ("SBN", "importance-weighted"), ("fDARN", "bound"),
        ("fDARN", "importance-weighted"), ("LDA", "estimate"), ("DocNADE", "exact"),
        ("DocNADE", "estimate"), ("Replicated softmax", "estimate"),
    }  # fmt: skip


def test_the_unigram_row(rows: list[Row], corpora: dict[str, Corpus]) -> None:
    train, test = corpora["20news"].train.dense(), corpora["20news"].test.dense()
    log_p = test @ np.log((train.sum(0) + 1) / (train.sum() + 12))
    row = found(rows, "unigram", "exact")
    assert row.value == pytest.approx(np.exp(-(log_p / test.sum(1)).mean()), rel=1e-12)
    assert (row.dims, row.n, row.dataset, row.seed) == ("", 60, "toy", None)
    corpus = found(rows, "unigram", "exact", PER_CORPUS)
    assert corpus.value == pytest.approx(np.exp(-log_p.sum() / test.sum()), rel=1e-12)
    assert corpus.value != row.value  # control: they are two numbers


def test_the_bound_on_training_documents_stands_beside_the_test_s(
    rows: list[Row], systems: dict[Cell, Measured], corpora: dict[str, Corpus]
) -> None:
    net = systems[Cell("20news", "SBN 3", "quick", 0)].result.best.net
    seen = corpora["20news"].train.take(random_part(300, 20).numpy())
    bound = document_bounds(net, seen, seed=0, name="train")
    (row,) = [r for r in rows if (r.model, r.metric, r.split) == ("SBN", PER_DOCUMENT, "train")]
    assert row.value == pytest.approx(np.exp(-bound.per_word()[0].item()), rel=1e-12)
    assert (row.variant, row.n) == ("bound", 20)
    fits = document_views.fits(rows)
    assert fits.index.tolist() == [("toy", "SBN 3", "quick"), ("toy", "fDARN 2", "quick")]
    line, test = fits.loc["toy", "SBN 3", "quick"], found(rows, "SBN", "bound").value
    assert line.tolist() == pytest.approx([row.value, test, test / row.value, 1])
    kept = [r for r in rows if (r.split, r.model) != ("train", "SBN")]  # as of rows made before
    assert document_views.fits(kept).index.tolist() == [("toy", "fDARN 2", "quick")]
    assert document_views.fits([]).empty


def test_a_test_row_is_what_it_says(
    rows: list[Row], systems: dict[Cell, Measured], corpora: dict[str, Corpus]
) -> None:
    test, lengths = corpora["20news"].test, corpora["20news"].test.lengths
    net = systems[Cell("20news", "SBN 3", "quick", 0)].result.best.net
    bound = document_bounds(net, test, 10, seed=0, name="test").values[0].numpy()
    row = found(rows, "SBN", "bound")
    assert row.value == pytest.approx(np.exp(-(bound / lengths).mean()), rel=1e-12)
    assert (row.dims, row.method, row.protocol, row.n, row.threads) == ("3", "NVIL", "quick", 60, 1)
    weighted = found(rows, "SBN", "importance-weighted")
    part = random_part(60, 20).numpy()
    gain = document_estimates(net, test.take(part), 50, seed=0).values[0].numpy() - bound[part]
    carried = (bound / lengths).mean() + (gain / lengths[part]).mean()
    assert weighted.value == pytest.approx(np.exp(-carried), rel=1e-9)
    assert weighted.value < row.value
    assert 1 <= float(weighted.note.rpartition("median effective ")[2]) <= 50
    corpus = found(rows, "SBN", "importance-weighted", PER_CORPUS)
    carried = bound.sum() / lengths.sum() + gain.sum() / lengths[part].sum()
    assert corpus.value == pytest.approx(np.exp(-carried), rel=1e-9)
    errors = carried_perplexity(bound, lengths, part, bound[part] + gain)[1::2]
    assert (weighted.stderr, corpus.stderr) == pytest.approx(errors, rel=1e-9)


def test_the_other_rows_are_what_they_say(
    rows: list[Row], systems: dict[Cell, Measured], corpora: dict[str, Corpus]
) -> None:
    test, lengths = corpora["20news"].test, corpora["20news"].test.lengths
    docnade = systems[Cell("20news", "DocNADE 3", "", 0)].result.best.net
    scores = score_docnade(docnade, test, 3, 0)
    lda = systems[Cell("20news", "LDA 2", "", 0)].result.best.net
    for model, kind, log_p in (
        ("DocNADE", "exact", scores.order.log_p),
        ("DocNADE", "estimate", scores.ensemble.log_p),
        ("LDA", "estimate", score_lda(lda, test, LeftToRight(100), 0).log_p),
    ):
        row = found(rows, model, kind)
        assert row.value == pytest.approx(np.exp(-(log_p / lengths).mean()), rel=1e-12)
        assert "error of sampling" in row.note
    assert found(rows, "DocNADE", "exact").value > found(rows, "DocNADE", "estimate").value  # control


@pytest.mark.usefixtures("drawing")
def test_a_diverged_system_is_a_row_of_nan_and_is_counted(
    run: Run, corpora: dict[str, Corpus], rows: list[Row], tmp_path: Path
) -> None:
    cell = Cell("20news", "SBN 3", "quick", 0)
    m = table_cells(run, corpora)[cell]
    wild = replace(m, training=replace(m.training, rate=1e38, weight_decay=0.0))
    measured = train_and_measure(wild, corpora["20news"], tmp_path, progress="off", threads=1)
    last = list(table_rows(run, {cell: measured}, corpora))[-1]
    assert math.isnan(last.value)
    assert (last.variant, last.note[:18]) == ("bound", "diverged at update")
    both = [found(rows, "unigram", "exact"), found(rows, "SBN", "bound"), last._replace(seed=1)]
    table = document_views.summary(both, read_published())
    line = table[table["system"] == "SBN 3"].iloc[0]
    assert (line["seeds"], line["diverged"], line["ours"]) == (1, 1, both[1].value)
    assert len(perplexity_points(document_views.summary([both[0], last], read_published())).axes) == 1


def test_annealing_knows_log_z(
    rows: list[Row], systems: dict[Cell, Measured], corpora: dict[str, Corpus]
) -> None:
    from nvil_repro.models.replicated_softmax import documents as as_documents
    from nvil_repro.models.replicated_softmax import log_unnormalised

    test = corpora["20news"].test
    net = systems[Cell("20news", "Replicated softmax 3", "", 0)].result.best.net
    lengths, at = np.unique(test.lengths, return_inverse=True)
    log_z = exact_log_partition(net, lengths.tolist())[0].numpy()[at]
    log_p = log_unnormalised(net, as_documents(test, net.bias.dtype))[0].numpy() - log_z
    exact = np.exp(-(log_p / test.lengths).mean())
    assert found(rows, "Replicated softmax", "estimate").value == pytest.approx(exact, rel=0.02)

    table = document_views.partitions(rows)
    assert table.index.get_level_values("words").isin(lengths).all()
    words = table.index.get_level_values("words").to_numpy()
    truth = exact_log_partition(net, words.tolist())[0].numpy()
    for end in ("AIS", "reverse AIS"):
        assert table[end].to_numpy() == pytest.approx(truth, abs=0.005)
        assert table[end].to_numpy() != pytest.approx(truth[::-1], abs=0.005)  # control: of other lengths
        assert (np.abs(table[end] - truth) < 4 * table[f"{end}, stderr"]).all()


def test_both_ends_of_log_z_side_by_side(rows: list[Row]) -> None:
    row = found(rows, "Replicated softmax", "estimate")._replace(metric="log_z")
    given = [
        row._replace(dims=dims, seed=seed, variant=f"{method}, {words} words", value=value, stderr=0.5)
        for dims, seed, words, below, above in (
            ("3", 0, 4, 10.0, 11.0),
            ("3", 1, 4, 20.0, 18.0),
            ("7", 0, 8, 5.0, 5.0),
        )
        for method, value in (("AIS", below), ("reverse AIS", above))
    ]
    table = document_views.partitions([*rows[:3], *given])
    systems = ["Replicated softmax 3", "Replicated softmax 3", "Replicated softmax 7"]
    assert list(table.index) == list(zip(["toy"] * 3, systems, (0, 1, 0), (4, 4, 8), strict=True))
    assert table["AIS"].tolist() == [10, 20, 5]
    assert table["gap"].tolist() == [0.25, -0.5, 0]
    assert document_views.partitions([]).empty
    assert document_views.summary([*rows, *given], []).equals(
        document_views.summary(rows, [])
    )  # not its business


def test_measured_once_and_read_again(
    run: Run, systems: dict[Cell, Measured], corpora: dict[str, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BeliefNetSystem, "measure", None)
    monkeypatch.setattr(DocNadeSystem, "measure", None)
    again = train_table(run, corpora)
    assert {cell: m.test for cell, m in again.items()} == {cell: m.test for cell, m in systems.items()}
    more = replace(run, settings=replace(run.settings, orders=5))
    fewer = {"20news": corpora["20news"]._replace(test=corpora["20news"].test.take(np.arange(30)))}
    for changed, data in ((more, corpora), (run, fewer)):
        with pytest.raises(TypeError):  # control: another measurement is made
            train_table(changed, data)


def test_rows_that_are_kept_are_not_computed_again(
    run: Run, rows: list[Row], corpora: dict[str, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path / "document_perplexity.csv", [row for row in rows if row.model != "LDA"])
    there = replace(run, results_dir=tmp_path / "there", keep=tmp_path)
    for system in (BeliefNetSystem, DocNadeSystem):
        monkeypatch.setattr(system, "measure", None)  # would fail
    others = train_table(there, corpora)
    assert [cell.system for cell, measured in others.items() if measured is not None] == ["LDA 2"]
    again = list(table_rows(there, others, corpora))
    assert [row._replace(seconds=0) for row in again] == [row._replace(seconds=0) for row in rows]
    assert document_views.nearest_documents(others, corpora, [0]).empty
    assert set(document_views.top_words(others, corpora).index.get_level_values("system")) == {"LDA 2"}
    longer = replace(there, settings=replace(run.settings, other_passes=31))
    hashes = [expected_hashes(each.experiment, each.settings) for each in (there, longer)]
    assert (
        len(hashes[0] & hashes[1]) == 4
    )  # belief nets, the unigram model and LDA, whose passes these are not
    with pytest.raises(TypeError):  # control: of other settings nothing is kept
        train_table(replace(there, settings=replace(run.settings, orders=5)), corpora)


def test_a_corpus_may_have_the_first_seed_alone(run: Run) -> None:
    many = replace(
        run.settings, corpora=("20news", "20news-raw"), seeds=((0, 1),) * len(run.settings.protocols)
    )
    few = replace(many, one_seed=("20news-raw",))
    seeds = [
        {cell.seed for cell in document_cells(few) if cell.corpus == name and cell.seed is not None}
        for name in few.corpora
    ]
    assert seeds == [{0, 1}, {0}]
    hashes = [expected_hashes(run.experiment, settings) for settings in (few, many)]
    assert hashes[0] < hashes[1]  # what it has is what it would have otherwise
    with pytest.raises(ParameterError, match="one_seed"):
        parameters({"profile": "smoke", "one_seed": ["SBN 50"]}, "document_perplexity")


def test_corpora_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(document_table, "load_corpus", lambda name, words: asked.append((name, words)))
    monkeypatch.setattr(document_table, "load_rcv1", lambda: asked.append("rcv1"))
    for name in ("20news", "20news-raw", "reuters21578-10000", "reuters21578-raw-500", "rcv1"):
        load(name)
    assert asked == [
        ("20news", None), ("20news-raw", None), ("reuters21578", 10_000), ("reuters21578-raw", 500), "rcv1",
    ]  # fmt: skip


def test_a_part_is_of_random_documents(
    corpora: dict[str, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_table, "load", lambda name: corpora[name])
    small = document_table.load_all(make_run(tmp_path, train_documents=50, test_documents=10))["20news"]
    assert (small.train.documents, small.test.documents, small.valid.documents) == (50, 10, 40)
    whole = corpora["20news"].train.dense()
    assert all((whole == row).all(1).any() for row in small.train.dense())
    assert (small.train.dense() != whole[:50]).any()


def test_raw_twins_are_cut_likewise(
    corpora: dict[str, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_table, "load", lambda name: corpora["20news"]._replace(dataset=name))
    names = ["20news", "20news-raw", "reuters21578-10000", "reuters21578-raw-500", "rcv1"]
    twins = document_table.raw_twins(make_run(tmp_path, corpora=names, train_documents=50, test_documents=10))
    assert [*twins] == ["20news-raw", "reuters21578-raw-10000"]
    assert {(c.train.documents, c.test.documents) for c in twins.values()} == {(50, 10)}


def test_what_is_said_of_a_corpus(corpora: dict[str, Corpus], rows: list[Row]) -> None:
    line = document_views.corpora_table(corpora).loc["toy"]
    (unigram,) = (r for r in rows if r.model == "unigram" and r.metric == "perplexity_per_document")
    assert line["unigram perplexity"] == unigram.value
    lengths = [part.lengths for part in (corpora["20news"].train, corpora["20news"].valid)]
    assert line["mean length"] == np.concatenate(lengths).mean()
    assert line["words"] == len(corpora["20news"].words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpora": ["20newsgroups"]}, 'a corpus such as "20news-raw"'),
        ({"systems": ["SBN 50-50"]}, 'a name such as "SBN 50"'),
        ({"systems": ["unigram 3"]}, 'a name such as "SBN 50"'),
        ({"test_documents": 1}, "a whole number, 2 or more"),
    ],
)
def test_bad_parameters_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_run(tmp_path, **changes)


def test_an_entry_for_each_protocol(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"parameter passes = .* an entry for each of the protocols"):
        make_run(tmp_path, protocols=["literal", "improved"])


def test_units_are_told_by_their_words(systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> None:
    table = document_views.top_words(systems, corpora, units=2, count=3)
    net = systems[Cell("20news", "SBN 3", "quick", 0)].result.best.net
    best = net.generative[0].weight[0, 0].argsort(descending=True)[:3]
    expected = ", ".join(corpora["20news"].words[w] for w in best)
    assert table.loc[("SBN 3", 0), "20news"] == expected
    assert set(table.index.get_level_values("system")) == set(SYSTEMS) - {"unigram"}


def test_the_nearest_document_to_itself(systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> None:
    corpus = corpora["20news"]
    same = {"20news": corpus._replace(test=corpus.train)}
    table = document_views.nearest_documents(systems, same, [4], count=1)
    assert table.iloc[0]["test document"] == table.iloc[0]["nearest 1"]
    twice = {**systems, **{cell._replace(corpus="other"): m for cell, m in systems.items()}}
    told = document_views.nearest_documents(twice, {**same, "other": corpus}, [4, 5])["told by"]
    assert told.tolist() == ["SBN 3, 20news"] * 2 + ["SBN 3, other"] * 2
    others = {cell: m for cell, m in systems.items() if cell.protocol == ""}
    assert document_views.nearest_documents(others, same, [4]).empty
