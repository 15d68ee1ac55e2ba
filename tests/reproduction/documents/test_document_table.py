"""Table 3 from its settings to its cells: what is trained, kept, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvil_repro.data.counts import Corpus
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction import document_table, document_units, document_views
from nvil_repro.reproduction.cells import DocumentCell as Cell
from nvil_repro.reproduction.cells import document_cells, expected_hashes
from nvil_repro.reproduction.document_systems import BeliefNetSystem, DocNadeSystem
from nvil_repro.reproduction.document_table import load, table_cells, table_rows, train_table
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings
from tests.reproduction.documents.toy_documents import make_run


def test_cells_are_systems_by_protocols_by_their_own_seeds(
    tmp_path: Path, corpora: dict[str, Corpus]
) -> None:
    run = make_run(tmp_path, protocols=["improved", "literal"], passes=[10, 20], seeds=[[0, 1], [5]])
    cells = table_cells(run, corpora)
    assert len(cells) == 2 * 3 + 4 * 2  # belief nets by protocol and seed, the others by the first seeds
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
    gibbs, variational = (cells[Cell("20news", f"{kind} 2", "", 0)].training for kind in ("Gibbs LDA", "LDA"))
    assert (gibbs.topics, gibbs.updates, gibbs.eval_every) == (2, 30, 15)  # a sweep is a pass
    assert variational.updates == pytest.approx(20 * corpora["20news"].train.documents / 256, abs=2)
    shares = document_table.passes_an_update(run, corpora)
    assert shares["toy", "LDA 2", "Gibbs"] == 1
    assert shares["toy", "LDA 2", ""] == 256 / corpora["20news"].train.documents


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
    write_results(
        tmp_path / "document_perplexity.csv",
        [row for row in rows if (row.model, row.protocol) != ("LDA", "")],
    )
    there = replace(run, results_dir=tmp_path / "there", keep=tmp_path)
    for system in (BeliefNetSystem, DocNadeSystem):
        monkeypatch.setattr(system, "measure", None)  # would fail
    others = train_table(there, corpora)
    assert [cell.system for cell, measured in others.items() if measured is not None] == ["LDA 2"]
    again = list(table_rows(there, others, corpora))
    assert [row._replace(seconds=0) for row in again] == [row._replace(seconds=0) for row in rows]
    assert document_units.nearest_documents(others, corpora, [0]).empty
    assert set(document_units.top_words(others, corpora).index.get_level_values("system")) == {"LDA 2"}
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


def test_belief_networks_of_a_corpus_may_be_left_out_of_a_protocol(run: Run) -> None:
    protocols = {"protocols": ("improved", "literal"), "passes": (2, 3), "seeds": ((0,), (0,))}
    many = replace(run.settings, corpora=("20news", "20news-raw"), **protocols)
    few = replace(many, left_out=("20news-raw literal",))
    assert [
        {cell.protocol for cell in document_cells(few) if cell.corpus == name and cell.protocol}
        for name in few.corpora
    ] == [{"improved", "literal"}, {"improved"}]
    systems = [{cell.system for cell in document_cells(each)} for each in (few, many)]
    assert systems[0] == systems[1]
    hashes = [expected_hashes(run.experiment, settings) for settings in (few, many)]
    assert hashes[0] < hashes[1]  # what it has is what it would have otherwise
    with pytest.raises(ParameterError, match="left_out"):
        parameters({"profile": "smoke", "left_out": ["literal"]}, "document_perplexity")


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
    table = document_views.corpora_table(corpora)
    assert table.index.tolist() == ["the paper's 20 Newsgroups", "toy"]
    line = table.loc["toy"]
    (unigram,) = (r for r in rows if r.model == "unigram" and r.metric == "perplexity_per_document")
    assert line["unigram perplexity"] == unigram.value
    lengths = [part.lengths for part in (corpora["20news"].train, corpora["20news"].valid)]
    assert line["mean length"] == np.concatenate(lengths).mean()
    assert line["words"] == len(corpora["20news"].words)
    assert table["mean length"].iloc[0] == 51.8
    stands_in = document_views.corpora_table({"reuters21578-10000": corpora["20news"]})
    assert stands_in.index.tolist() == ["the paper's RCV1-v2", "toy"]


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
