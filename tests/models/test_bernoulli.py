"""Sampler against log-probability, and finite log-probabilities at any logit."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.models import bernoulli
from tests import oracle


def test_log_prob_is_the_log_of_the_probability():
    logits, bits = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double(),
        oracle.random_bits(6, 3),
    )
    found = bernoulli.log_prob(logits, bits)
    torch.testing.assert_close(found, oracle.bernoulli(logits, bits), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_is_finite_at_extreme_logits(dtype):
    logits = torch.tensor([[1e4], [1e4], [-1e4], [-1e4]], dtype=dtype)
    bits = torch.tensor([[1], [0], [0], [1]], dtype=dtype)
    assert bernoulli.log_prob(logits, bits).tolist() == [0, -1e4, 0, -1e4]
    naive = oracle.bernoulli(logits, bits)
    assert not naive.isfinite().all()  # what log-probabilities from probabilities give


def test_the_threshold_of_the_sampler_is_the_probability():
    """Bits are one for uniforms in [0, p) and for no other, p the probability that `log_prob` says."""
    assert_thresholds_are_probabilities()


def test_a_log_probability_a_little_off_is_noticed(monkeypatch):
    """torch's own softplus is linear above 20."""
    monkeypatch.setattr(bernoulli, "softplus", torch.nn.functional.softplus)
    with pytest.raises(AssertionError):
        assert_thresholds_are_probabilities()


def assert_thresholds_are_probabilities():
    logits = torch.linspace(-35, 35, 201, dtype=torch.float64)
    p = bernoulli.log_prob(logits[:, None], torch.ones(201, 1).double()).exp()
    assert bernoulli.sample(logits, p * (1 - 2e-14)).all()
    assert not bernoulli.sample(logits, p * (1 + 2e-14)).any()


def test_frequencies_on_a_grid_of_uniforms():
    logits, n = torch.tensor([-3.0, -0.1, 0.0, 2.0], dtype=torch.float64), 4096
    grid = (torch.arange(n).double() + 0.5) / n
    frequency = bernoulli.sample(logits[:, None].expand(4, n), grid).mean(-1)
    torch.testing.assert_close(frequency, torch.sigmoid(logits), rtol=0, atol=0.5 / n)


def test_sure_bits():
    uniforms = torch.tensor([0.0, 1 - 2.0**-24])
    assert bernoulli.sample(torch.tensor([200.0, 200.0]), uniforms).tolist() == [1, 1]
    assert bernoulli.sample(torch.tensor([-200.0, -200.0]), uniforms).tolist() == [0, 0]
