"""Each model's log p of documents, and what it is called."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import from_dense
from nvil_repro.evaluation.documents import score_docnade, score_lda, score_unigram
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.models.docnade import DocNade, log_prob
from nvil_repro.models.lda import Lda
from nvil_repro.models.unigram import log_prob as unigram_log_prob
from nvil_repro.models.unigram import unigram
from tests.models.test_docnade import random_docnade, together

DOCUMENTS = from_dense(np.array([[1, 1, 1], [0, 2, 0]]))


def test_unigram_is_exact() -> None:
    found = score_unigram(unigram(DOCUMENTS), DOCUMENTS)
    assert found.kind == "exact"
    assert found.log_p.tolist() == unigram_log_prob(unigram(DOCUMENTS), DOCUMENTS).tolist()
    assert found.stderr.tolist() == [0, 0]


def test_docnade_over_many_orders_is_the_mean_over_all() -> None:
    model = random_docnade()
    orders = log_prob(model, together([list(order) for order in itertools.permutations(range(3))]))[0]
    found = score_docnade(model, DOCUMENTS, orders=1000)
    assert (found.order.kind, found.ensemble.kind) == ("exact", "estimate over orders")
    for scores, expected in ((found.order, orders.mean()), (found.ensemble, orders.exp().mean().log())):
        assert abs(scores.log_p[0] - expected.item()) < 4 * scores.stderr[0] < 0.2
    only = log_prob(model, together([[1, 1]])).item()  # a document of one word has one order
    assert [found.order.log_p[1], found.ensemble.log_p[1]] == pytest.approx([only, only], abs=1e-12)
    assert found.order.stderr[1] < 1e-12
    bold = DocNade(*(3 * part for part in model))
    strongly = score_docnade(bold, DOCUMENTS)
    assert strongly.ensemble.log_p[0] > strongly.order.log_p[0] + 0.05  # control: the two differ
    assert found.order.stderr[0] == pytest.approx(orders.std(correction=0).item() / math.sqrt(1000), rel=0.1)


def test_orders_are_the_seed_s() -> None:
    def scores(orders: int, seed: int) -> list[float]:
        return score_docnade(random_docnade(), DOCUMENTS, orders, seed).order.log_p.tolist()

    assert scores(2, 0) == scores(2, 0)
    assert scores(3, 0) != scores(3, 1)


def test_lda_is_an_estimate() -> None:
    pytest.importorskip("numba")
    one_topic = Lda(torch.tensor([[[2.0, 3.0, 5.0]]], dtype=torch.float64), torch.ones(1, 1).double())
    found = score_lda(one_topic, DOCUMENTS, LeftToRight(2, runs=2))
    assert found.kind == "left-to-right estimate"
    np.testing.assert_allclose(found.log_p, np.log([0.2 * 0.3 * 0.5, 0.3**2]), rtol=1e-12)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="orders=1: expected at least 2"):
        score_docnade(random_docnade(), DOCUMENTS, orders=1)
    with pytest.raises(ValueError, match="the model has 2 replicas: expected one"):
        score_docnade(random_docnade(replicas=2), DOCUMENTS)
