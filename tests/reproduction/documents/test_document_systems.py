"""The numbers in the rows of Table 3 are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nvil_repro.data.counts import Corpus
from nvil_repro.evaluation.document_bounds import document_bounds, document_estimates
from nvil_repro.evaluation.documents import score_docnade, score_lda
from nvil_repro.evaluation.importance import random_part
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.evaluation.perplexity import carried_perplexity
from nvil_repro.evaluation.replicated_softmax import exact_log_partition
from nvil_repro.reproduction import document_views
from nvil_repro.reproduction.cells import DocumentCell as Cell
from nvil_repro.reproduction.document_figures import perplexity_points
from nvil_repro.reproduction.document_systems import PER_CORPUS, PER_DOCUMENT
from nvil_repro.reproduction.document_table import table_cells, table_rows
from nvil_repro.reproduction.measurements import Measured, train_and_measure
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row
from tests.reproduction.documents.toy_documents import found


def test_every_system_says_what_its_log_p_is(rows: list[Row]) -> None:
    kinds = {(r.model, r.variant) for r in rows if r.split == "test" and r.metric == PER_DOCUMENT}
    assert kinds == {
        ("unigram", "exact"), ("SBN", "bound"), ("SBN", "importance-weighted"), ("fDARN", "bound"),
        ("fDARN", "importance-weighted"), ("LDA", "left-to-right estimate"), ("DocNADE", "exact"),
        ("DocNADE", "estimate over orders"), ("Replicated softmax", "AIS estimate"),
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
    lda, gibbs = (
        systems[Cell("20news", f"{kind} 2", "", 0)].result.best.net for kind in ("LDA", "Gibbs LDA")
    )
    for model, protocol, kind, log_p in (
        ("DocNADE", "", "exact", scores.order.log_p),
        ("DocNADE", "", "estimate over orders", scores.ensemble.log_p),
        ("LDA", "", "left-to-right estimate", score_lda(lda, test, LeftToRight(100), 0).log_p),
        ("LDA", "Gibbs", "left-to-right estimate", score_lda(gibbs, test, LeftToRight(100), 0).log_p),
    ):
        row = found(rows, model, kind, protocol=protocol)
        assert row.value == pytest.approx(np.exp(-(log_p / lengths).mean()), rel=1e-12)
        assert "error of sampling" in row.note
    assert (
        found(rows, "DocNADE", "exact").value > found(rows, "DocNADE", "estimate over orders").value
    )  # control


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
    assert found(rows, "Replicated softmax", "AIS estimate").value == pytest.approx(exact, rel=0.02)

    table = document_views.partitions(rows)
    assert table.index.get_level_values("words").isin(lengths).all()
    words = table.index.get_level_values("words").to_numpy()
    truth = exact_log_partition(net, words.tolist())[0].numpy()
    for end in ("AIS", "reverse AIS"):
        assert table[end].to_numpy() == pytest.approx(truth, abs=0.005)
        assert table[end].to_numpy() != pytest.approx(truth[::-1], abs=0.005)  # control: of other lengths
        assert (np.abs(table[end] - truth) < 4 * table[f"{end}, stderr"]).all()


def test_both_ends_of_log_z_side_by_side(rows: list[Row]) -> None:
    row = found(rows, "Replicated softmax", "AIS estimate")._replace(metric="log_z")
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
