"""Bounds and estimates of documents: their arithmetic, their expectations by enumeration, their errors and memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import Counts, from_dense
from nvil_repro.evaluation import document_bounds as module
from nvil_repro.evaluation.document_bounds import document_bounds, document_estimates
from nvil_repro.models import multinomial
from nvil_repro.models.belief_net import BeliefNet, log_weight, sample_q
from nvil_repro.streams import stream
from tests import oracle

DENSE = np.array([[3, 0, 1, 2], [0, 1, 0, 0], [2, 2, 1, 1], [0, 0, 0, 5], [1, 0, 0, 1]])


def problem() -> tuple[BeliefNet, Counts]:
    return oracle.random_net((3, 2), replicas=2), from_dense(DENSE)


def weights_by_hand(net: BeliefNet, samples: int, seed: int, name: str) -> torch.Tensor:
    """One document and one row of uniforms at a time: [R, N, S]."""
    rows = []
    for n, counts in enumerate(DENSE):
        u = torch.from_numpy(stream(seed, name, n).random((samples, 5)))[None]
        x = torch.from_numpy(counts).double().expand(1, samples, -1)
        rows.append(log_weight(net, x, sample_q(net, x, [u[..., :3], u[..., 3:]]), multinomial))
    return torch.stack(rows, 1)


@pytest.mark.parametrize("elements", [1, 12, 1 << 18])
def test_a_bound_is_the_mean_of_its_samples(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many documents and samples are held at a time."""
    monkeypatch.setattr(module, "ELEMENTS", elements)
    monkeypatch.setattr("nvil_repro.evaluation.weights.ELEMENTS", elements)
    net, documents = problem()
    weights = weights_by_hand(net, 10, 3, "bound")
    found = document_bounds(net, documents, seed=3)
    torch.testing.assert_close(found.values, weights.mean(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.stderr, weights.std(-1) / math.sqrt(10), rtol=0, atol=1e-12)
    other = document_bounds(net, documents, seed=4)
    assert (other.values - found.values).abs().min() > 1e-6  # control
    value, error = found.per_word()
    lengths = torch.from_numpy(DENSE.sum(1))
    torch.testing.assert_close(value, (weights.mean(-1) / lengths).mean(-1))
    torch.testing.assert_close(error, ((found.stderr / lengths) ** 2).sum(-1).sqrt() / 5)


@pytest.mark.parametrize("elements", [1, 50, 1 << 18])
def test_an_estimate_is_the_log_of_the_mean_weight(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ELEMENTS", elements)
    monkeypatch.setattr("nvil_repro.evaluation.weights.ELEMENTS", elements)
    net, documents = problem()
    weights, seen = weights_by_hand(net, 40, 0, "importance"), []
    found = document_estimates(net, documents, 40, progress=lambda *step: seen.append(step))
    torch.testing.assert_close(found.values, weights.logsumexp(-1) - math.log(40), rtol=0, atol=1e-12)
    w = weights.softmax(-1)
    torch.testing.assert_close(found.stderr, (w.square().sum(-1) - 1 / 40).sqrt(), rtol=0, atol=1e-9)
    assert seen[-1] == (5, 5)


def test_expectations_are_the_enumerated_bound_and_likelihood() -> None:
    net, documents = problem()
    x = torch.from_numpy(DENSE).double()
    bounds, estimates = document_bounds(net, documents, 3000), document_estimates(net, documents, 20_000)
    for r in range(2):
        bound = oracle.bound(net, x, r, oracle.words).detach()
        exact = oracle.log_likelihood(net, x, r, oracle.words)
        assert ((bounds.values[r] - bound).abs() < 5 * bounds.stderr[r] + 1e-9).all()
        assert ((estimates.values[r] - exact).abs() < 5 * estimates.stderr[r] + 1e-9).all()
        assert (exact - bound).min() > 5 * bounds.stderr.max()  # control: the two are not one


def test_one_sample_has_no_error_to_tell() -> None:
    assert document_bounds(*problem(), samples=1).stderr.isnan().all()


def test_a_diverged_replica_is_nan_and_alone_in_it() -> None:
    net, documents = problem()
    healthy = document_bounds(net, documents).values
    net.generative[0].weight[1] = torch.nan
    sick = document_bounds(net, documents).values
    assert torch.equal(sick[0], healthy[0])
    assert sick[1].isnan().all()


def test_what_does_not_fit_is_refused() -> None:
    net, documents = problem()
    with pytest.raises(ValueError, match="documents of 3 words for a net of 4"):
        document_bounds(net, from_dense(DENSE[:, :3]))
    with pytest.raises(ValueError, match="there is no document, or an empty one"):
        document_bounds(net, from_dense(DENSE * (np.arange(5) != 2)[:, None]))
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        document_estimates(net, documents, 0)
