"""Gaussian conditionals against torch's own distributions and quadrature."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from nvil_repro.models import gaussian
from tests import oracle
from tests.nets import VISIBLE, gaussian_nets, quadrature

EXACT = {"rtol": 0, "atol": 1e-12}


def problem():
    nets, generator = gaussian_nets(), torch.Generator().manual_seed(0)
    return nets, oracle.random_bits(5, VISIBLE), torch.randn(5, 2, generator=generator, dtype=torch.float64)


def test_log_probabilities_are_those_of_torch():
    nets, x, h = problem()
    mean, log_deviation = nets.inference(x)
    expected = Normal(mean, log_deviation.exp()).log_prob(h).sum(-1)
    torch.testing.assert_close(nets.inference.log_prob(h, x), expected, **EXACT)
    likelihood, prior = nets.model.log_prob(x, h)
    expected = Bernoulli(logits=nets.model.network(h)).log_prob(x).sum(-1)
    torch.testing.assert_close(likelihood, expected, **EXACT)
    torch.testing.assert_close(prior, Normal(0.0, 1.0).log_prob(h).sum(-1), **EXACT)


def assert_kl_is_the_expected_log_ratio():
    nets, x, _ = problem()
    nodes, weights = quadrature(2, 3)  # log Q - log P is quadratic
    total = 0.0
    for node, weight in zip(nodes, weights, strict=True):
        h = nets.inference.transform(x, node.expand(5, 2))
        total = total + weight * (nets.inference.log_prob(h, x) - nets.model.log_prob(x, h)[1])
    torch.testing.assert_close(nets.inference.kl(x), total, **EXACT)


def test_kl_is_the_expected_log_ratio():
    assert_kl_is_the_expected_log_ratio()


def test_another_density_is_noticed(monkeypatch):
    right = gaussian.log_normal
    monkeypatch.setattr(gaussian, "log_normal", lambda h, m, s: right(h, m, s + 1e-6))
    with pytest.raises(AssertionError):
        assert_kl_is_the_expected_log_ratio()


def test_a_sample_is_the_transform_without_its_gradient():
    nets, x, noise = problem()
    sample, path = nets.inference.sample(x, noise), nets.inference.transform(x, noise)
    assert torch.equal(sample, path)
    assert (sample.requires_grad, path.requires_grad) == (False, True)
    mean, log_deviation = nets.inference(x)
    torch.testing.assert_close((path - mean) / log_deviation.exp(), noise, **EXACT)
