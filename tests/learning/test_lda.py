"""scikit-learn's update as a function of what it is handed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import digamma

pytest.importorskip("sklearn")

from nvil_repro.data.counts import from_dense
from nvil_repro.learning.lda import csr, online_update
from nvil_repro.models.lda import lda, topics

DENSE = np.array([[3, 2, 0, 0, 1], [0, 0, 4, 1, 0], [1, 5, 0, 0, 0]])
START = lda(2, (3,), vocabulary=5, alpha=0.4).dirichlet[0].numpy()
HOW: dict[str, Any] = {
    "alpha": 0.4, "eta": 0.2, "total": 12, "share": (0.7, 10.0), "steps": 1000, "seed": 5, "update": 6
}  # fmt: skip


def by_hand(start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equations 3, 5 and 7 of Hoffman, Blei & Bach 2010, iterated to the end."""
    log_beta = digamma(start) - digamma(start.sum(-1, keepdims=True))
    expected = np.zeros_like(start)
    for counts in DENSE:
        gamma = np.ones(2)
        for _ in range(2000):
            log_theta = digamma(gamma) - digamma(gamma.sum())
            phi = np.exp(log_theta[:, None] + log_beta)
            phi /= phi.sum(0)
            gamma = 0.4 + (phi * counts).sum(-1)
        expected += phi * counts
    rho = (10 + 7) ** -0.7
    return (1 - rho) * start + rho * (0.2 + 12 / 3 * expected)


def test_an_update_is_the_equations() -> None:
    """As near as scikit-learn's stopping rule, a mean change of gamma below 1e-3, lets it come."""
    found = online_update(START, from_dense(DENSE), **HOW)
    np.testing.assert_allclose(found, by_hand(START), rtol=2e-3)
    assert (
        np.abs(online_update(START, from_dense(DENSE), **HOW | {"total": 15}) - found).max() > 0.05
    )  # control


def test_it_keeps_nothing_and_changes_nothing() -> None:
    start = START.copy()
    found = online_update(start, from_dense(DENSE), **HOW)
    online_update(found, from_dense(DENSE), **HOW)
    assert np.array_equal(found, online_update(start, from_dense(DENSE), **HOW))
    assert np.array_equal(start, START)
    assert not np.array_equal(found, online_update(start, from_dense(DENSE), **HOW | {"seed": 6}))  # control


def test_all_documents_at_full_share_are_batch_variational_bayes() -> None:
    batch = HOW | {"total": 3, "share": (0.0, 1.0)}
    found = online_update(START, from_dense(DENSE), **batch)
    assert found.sum() == pytest.approx(
        0.2 * START.size + DENSE.sum(), rel=1e-12
    )  # nothing of the start is left


def test_the_counts_are_scipy_s() -> None:
    np.testing.assert_array_equal(csr(from_dense(DENSE)).toarray(), DENSE)


def test_fresh_topics_sum_to_one_and_are_the_seed_s() -> None:
    model = lda(3, (0, 1), vocabulary=4, alpha=0.5)
    np.testing.assert_allclose(topics(model).sum(-1), 1, rtol=1e-14)
    assert model.alpha.tolist() == [[0.5] * 3] * 2
    assert np.array_equal(lda(3, (1,), vocabulary=4, alpha=0.5).dirichlet[0], model.dirichlet[1])
    assert not np.array_equal(model.dirichlet[0], model.dirichlet[1])
    with pytest.raises(ValueError, match="got topics=0"):
        lda(0, (0,), vocabulary=4, alpha=0.5)
