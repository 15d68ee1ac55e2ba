"""What units of document models are told by."""

from __future__ import annotations

from nvil_repro.data.counts import Corpus
from nvil_repro.reproduction import document_units
from nvil_repro.reproduction.cells import DocumentCell as Cell
from nvil_repro.reproduction.measurements import Measured
from tests.reproduction.documents.toy_documents import SYSTEMS


def test_units_are_told_by_their_words(systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> None:
    table = document_units.top_words(systems, corpora, units=2, count=3)
    net = systems[Cell("20news", "SBN 3", "quick", 0)].result.best.net
    best = net.generative[0].weight[0, 0].argsort(descending=True)[:3]
    expected = ", ".join(corpora["20news"].words[w] for w in best)
    assert table.loc[("SBN 3", 0), "20news"] == expected
    assert set(table.index.get_level_values("system")) == set(SYSTEMS) - {"unigram"}


def test_the_nearest_document_to_itself(systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> None:
    corpus = corpora["20news"]
    same = {"20news": corpus._replace(test=corpus.train)}
    table = document_units.nearest_documents(systems, same, [4], count=1)
    assert table.iloc[0]["test document"] == table.iloc[0]["nearest 1"]
    twice = {**systems, **{cell._replace(corpus="other"): m for cell, m in systems.items()}}
    told = document_units.nearest_documents(twice, {**same, "other": corpus}, [4, 5])["told by"]
    assert told.tolist() == ["SBN 3, 20news"] * 2 + ["SBN 3, other"] * 2
    others = {cell: m for cell, m in systems.items() if cell.protocol == ""}
    assert document_units.nearest_documents(others, same, [4]).empty
