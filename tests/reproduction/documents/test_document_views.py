"""What the views say of Table 3's rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from nvil_repro.reproduction import document_views
from nvil_repro.reproduction.document_systems import OF_Z, PER_DOCUMENT
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row


def table_3(row: Callable[..., Row]) -> list[Row]:
    common = {"experiment": "document_perplexity", "dataset": "20news", "metric": PER_DOCUMENT}
    sbn = {"dims": "50", "protocol": "improved", **common}
    rows = [row(model="unigram", dims="", method="", protocol="", variant="exact", value=1300.0, **common)]
    rows += [row(variant="bound", seed=seed, value=900.0 + 20 * seed, **sbn) for seed in (0, 1)]
    return [*rows, row(variant="importance-weighted", value=880.0, **sbn)]


def test_the_summary_is_relative_to_each_unigram(row: Callable[..., Row]) -> None:
    table = document_views.summary(table_3(row), read_published())
    line = table[table["log P is"] == "bound"].iloc[0]
    assert (line["system"], line["paper"], line["ours"], line["spread"]) == ("SBN 50", 909, 910, 20)
    assert line["ours / unigram"] == pytest.approx(910 / 1300)
    assert line["paper / unigram"] == pytest.approx(909 / 1335)
    assert math.isnan(table[table["log P is"] == "importance-weighted"].iloc[0]["paper"])


def test_of_corpora_that_no_row_is_of_the_printed_numbers_alone(row: Callable[..., Row]) -> None:
    smaller = [r._replace(dataset="20news, 2,000 documents") for r in table_3(row)]
    table = document_views.summary(smaller, read_published())
    waiting = table[table["note"] == "not run"]
    assert waiting["ours"].isna().all()
    assert set(waiting["corpus"]) == {"rcv1"}
    assert dict(zip(waiting["system"], waiting["paper"], strict=True))["fDARN 200"] == 598
    assert waiting[waiting["system"] == "SBN 50"]["paper / unigram"].tolist() == [784 / 2208]
    assert len(document_views.summary([], read_published())) == 7 + 8
    there = [r._replace(dataset="rcv1") for r in smaller]
    waiting = document_views.summary(there, read_published())["note"] == "not run"  # control
    assert not waiting[: len(there) - 1].any()
    assert waiting.sum() == 7  # of 20news


def test_places_are_those_of_what_the_paper_measures(row: Callable[..., Row]) -> None:
    common = {"experiment": "document_perplexity", "dataset": "20news", "metric": PER_DOCUMENT, "dims": "50"}
    exact = row(model="DocNADE", method="", protocol="", variant="exact", value=950.0, **common)
    ensemble = exact._replace(variant="estimate over orders", value=850.0)  # not what is printed
    literal = table_3(row)[1]._replace(protocol="literal", value=1200.0)
    table = document_views.summary([*table_3(row), exact, ensemble, literal], read_published())
    found = document_views.places(table, read_published())
    assert found["system"].tolist() == ["DocNADE 50", "SBN 50", "unigram"]
    assert found["place in the paper"].tolist() == [1, 2, 3]
    assert found["place here"].tolist() == [2, 1, 3]  # by the bound of the better protocol
    assert found["ratio"].tolist() == pytest.approx([950 / 1300 / (896 / 1335), 910 / 1300 / (909 / 1335), 1])
    assert document_views.places(table.assign(corpus="another"), read_published()).empty


def test_places_are_those_of_the_protocol_that_validation_prefers(row: Callable[..., Row]) -> None:
    literal = table_3(row)[1]._replace(protocol="literal", value=850.0)  # better on test documents
    watched = {"split": "valid", "metric": "bound_per_word", "variant": ""}
    curves = [
        each._replace(value=-math.log(value), updates=at, seed=seed, **watched)
        for each, seed, values in (
            (literal, 0, (960, 940)),
            (table_3(row)[1], 0, (970, 930)),
            (table_3(row)[2], 1, (900, 931)),
        )
        for at, value in enumerate(values)
    ]
    for rows, protocol in ((curves, "improved"), ([], "literal")):
        table = document_views.summary([*table_3(row), literal, *rows], read_published())
        found = document_views.places(table, read_published()).set_index("system")
        assert found.loc["SBN 50", "protocol"] == protocol
    table = document_views.summary([*table_3(row), literal, *curves], read_published())
    validation = table.set_index(["protocol", "log P is"])["validation"]
    assert validation["improved", "bound"] == pytest.approx((930 + 900) / 2)
    assert validation["literal", "bound"] == pytest.approx(940)
    diverged = [*curves, curves[-1]._replace(value=math.nan, updates=3)]  # of the second seed
    table = document_views.summary([*table_3(row), literal, *diverged], read_published())
    validation = table.set_index(["protocol", "log P is"])["validation"]
    assert validation["improved", "bound"] == pytest.approx(930)


def test_the_order_on_a_stand_in_is_beside_that_of_the_paper_s_corpus(row: Callable[..., Row]) -> None:
    fdarn = [r._replace(model="fDARN", value=r.value - 5) for r in table_3(row) if r.model == "SBN"]
    names = ("reuters21578", "reuters21578-10000", "reuters21578-raw")
    rows = [r._replace(dataset=name) for name in names for r in (*table_3(row), *fdarn)]
    table = document_views.summary([*table_3(row), *rows], read_published())
    assert table[table["corpus"].isin(names)]["paper"].isna().all()  # of another corpus
    found = document_views.places(table, read_published()).set_index("corpus")
    assert found.index.tolist() == ["20news"] * 2 + ["reuters21578"] * 3 + ["reuters21578-10000"] * 3
    there = found.loc["reuters21578"]
    assert set(there["printed of"]) == {"rcv1"}
    assert there["system"].tolist() == ["fDARN 50", "SBN 50", "unigram"]
    assert there["paper"].tolist() == [724, 784, 2208]
    assert there["place here"].tolist() == [1, 2, 3]
    assert there["ratio"].isna().all()


def test_what_no_length_of_training_excuses(row: Callable[..., Row]) -> None:
    unigram, first, second, weighted = table_3(row)
    assert document_views.require_sound([unigram, first, second, weighted]) == "worst: SBN 50 on 20news, 880"
    loose = first._replace(value=1400.0)  # a bound may be: Q has not learned yet
    assert document_views.require_sound([unigram, loose, second, weighted])
    with pytest.raises(AssertionError, match="no better than the unigram model, 1300"):
        document_views.require_sound([unigram, loose, weighted._replace(value=1301.0)])
    with pytest.raises(AssertionError, match="lies above its bound's perplexity, 900"):
        document_views.require_sound([unigram, first, weighted._replace(value=901.0)])
    with pytest.raises(AssertionError, match="no system was trained"):
        document_views.require_sound([unigram])


def test_the_interval_of_seeds_is_that_of_their_partition_functions(row: Callable[..., Row]) -> None:
    common = {"experiment": "document_perplexity", "dataset": "20news", "metric": PER_DOCUMENT, "dims": "50"}
    common |= {"model": "Replicated softmax", "method": "", "protocol": "", "variant": "AIS estimate"}
    notes = [f"1,000 chains, 1,000 rungs: {low} to 960{OF_Z}, 3 effective at worst" for low in (940, 930)]
    rows = [row(seed=seed, value=950.0, note=note, **common) for seed, note in enumerate(notes)]
    shown = document_views.presented(document_views.summary(rows, []))
    assert shown["interval"].tolist() == ["930 to 960"]
    shown = document_views.presented(document_views.summary([rows[0]._replace(note="10 orders")], []))
    assert shown["interval"].tolist() == ["–"]


def test_rcv1_from_weights_is_the_papers_corpus(row: Callable[..., Row]) -> None:
    rows = [r._replace(dataset="rcv1-weights") for r in table_3(row)]
    table = document_views.summary(rows, read_published())
    line = table[table["log P is"] == "bound"].iloc[0]
    assert (line["corpus"], line["paper"]) == ("rcv1-weights", 784)
    assert line["paper / unigram"] == pytest.approx(784 / 2208)
    assert set(table[table["note"] == "not run"]["corpus"]) == {"20news"}
    assert document_views.places(table, read_published())["system"].tolist() == ["SBN 50", "unigram"]
    other = document_views.summary([r._replace(dataset="rcv1-mine") for r in rows], read_published())
    assert set(other[other["note"] == "not run"]["corpus"]) == {"20news", "rcv1"}  # control
