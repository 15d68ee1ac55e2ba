"""The ten-sample bound: its arithmetic on given weights, its expectation by enumeration, its errors."""

from __future__ import annotations

import math

import pytest
import torch

from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.exact import exact_bound
from nvil_repro.evaluation.weights import weight_chunks
from nvil_repro.models.belief_net import belief_net
from tests import oracle


def problem(replicas=2, cases=6):
    return oracle.random_net((3, 2), replicas=replicas), oracle.random_bits(cases, 4)


def test_it_is_the_mean_of_means_with_both_errors():
    net, x = problem()
    pieces = weight_chunks(net, x, 10, 3, "bound")
    weights = torch.cat([torch.cat(list(chunks), -1) for _, chunks in pieces], 1)  # [R, N, 10]
    found = estimate_bound(net, x, seed=3)
    torch.testing.assert_close(found.value, weights.mean((1, 2)))
    torch.testing.assert_close(found.stderr, weights.mean(-1).std(-1) / math.sqrt(6))
    torch.testing.assert_close(found.sampling_stderr, (weights.var(-1) / 10).sum(-1).sqrt() / 6)
    assert found.n == 6


def assert_expectation_is_the_exact_bound(samples=4000):
    net, x = problem()
    found = estimate_bound(net, x, samples=samples)
    error = (found.value - exact_bound(net, x).mean(-1)).abs()
    assert (error < 5 * found.sampling_stderr).all()
    assert (found.sampling_stderr < 0.05).all()


def test_its_expectation_is_the_exact_bound():
    assert_expectation_is_the_exact_bound()


def test_a_bound_of_other_samples_is_noticed(monkeypatch):
    from nvil_repro.evaluation import weights

    right = weights.log_weights
    monkeypatch.setattr(weights, "log_weights", lambda net, x, u: right(net, x, u.sqrt()))
    with pytest.raises(AssertionError):
        assert_expectation_is_the_exact_bound()


def test_its_sampling_error_is_the_spread_over_seeds():
    net, x = problem(replicas=1)
    runs = [estimate_bound(net, x, seed=seed) for seed in range(200)]
    spread = torch.cat([run.value for run in runs]).std()
    claimed = torch.cat([run.sampling_stderr for run in runs]).square().mean().sqrt()
    assert abs(spread / claimed - 1) < 5 / math.sqrt(2 * 199)  # five standard errors of a standard deviation


def test_seed_and_name_choose_the_samples():
    net, x = problem()
    values = [estimate_bound(net, x, **o).value for o in ({}, {}, {"seed": 1}, {"name": "validation"})]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[3])


def test_bytes_and_floats_are_the_same_cases():
    net, x = problem()
    assert torch.equal(estimate_bound(net, x.to(torch.uint8)).value, estimate_bound(net, x).value)


def test_one_sample_or_one_case_has_no_error_to_tell():
    net, x = problem()
    assert estimate_bound(net, x, samples=1).sampling_stderr.isnan().all()
    assert estimate_bound(net, x[:1]).stderr.isnan().all()


def test_a_diverged_replica_is_nan_and_alone_in_it():
    net, x = problem()
    healthy = estimate_bound(net, x).value
    net.generative[0].weight[1] = torch.nan
    sick = estimate_bound(net, x).value
    assert sick[0] == healthy[0]
    assert sick[1].isnan()


def test_input_that_does_not_fit_is_named():
    net = belief_net(4, (3,), [0], train_mean=torch.full((4,), 0.3))
    with pytest.raises(ValueError, match=r"x must be \[cases, 4\]"):
        estimate_bound(net, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="got 200 at"):
        estimate_bound(net, torch.full((2, 4), 200, dtype=torch.uint8))
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        estimate_bound(net, torch.zeros(2, 4), samples=0)
