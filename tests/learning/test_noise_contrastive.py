"""Noise-contrastive estimation: its formula, log Z found, and the noise it is given."""

from __future__ import annotations

import math

import pytest
import torch

from nvil_repro.learning.criteria import criterion_gradient
from nvil_repro.learning.noise_contrastive import independent_bits, noise_contrastive, self_contrastive
from tests.learning.criteria_problems import EXACT, PROBLEMS, every_noise, of_bits

FAMILY, THETA, X, _ = PROBLEM = of_bits(*PROBLEMS["RBM"].args)
MEAN = torch.tensor([0.1, 0.5, 0.9, 0.4]).double()


def test_it_is_the_log_probability_of_telling_data_from_noise() -> None:
    """Of 3 cases and 6 of noise, each by p / (p + 2 q) and its complement, p normalised by the given log Z."""
    u = torch.rand(1, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, log_z = X[:, [2, 7, 11]], torch.tensor([[1.5], [2.5]]).double()
    noise = independent_bits(MEAN, u, x)
    on = 0.95 * MEAN + 0.025

    def model(y: torch.Tensor) -> torch.Tensor:
        return (FAMILY.log_unnormalised(THETA, y) - log_z).exp()

    def q(y: torch.Tensor) -> torch.Tensor:
        return (on * y + (1 - on) * (1 - y)).prod(-1)

    data = (model(x) / (model(x) + 2 * q(x))).log().sum(-1)
    rest = (2 * q(noise.samples) / (model(noise.samples) + 2 * q(noise.samples))).log().sum(-1)
    found = noise_contrastive(FAMILY, THETA, x, noise, log_z)
    torch.testing.assert_close(found, (data + rest) / 3, **EXACT)
    assert (noise_contrastive(FAMILY, THETA, x, noise, log_z + 0.5) - found).abs().max() > 1e-2  # control
    assert torch.equal(noise.samples, (u < on).double())


def test_log_z_goes_to_where_it_belongs() -> None:
    noise = every_noise(PROBLEM)
    for off in (-0.2, 0.2):
        log_z = PROBLEM.log_z[:, None] + off
        given = {"noise": noise, "log_z": log_z, "ratio": 1.0}
        found = criterion_gradient("noise_contrastive", FAMILY, THETA, X, weights=PROBLEM.p, **given)
        assert found.log_z.shape == (2, 1)
        assert bool((found.log_z * off < -1e-3).all())


def test_nobody_tells_two_copies_apart() -> None:
    found = self_contrastive(FAMILY, THETA, X, X)
    torch.testing.assert_close(found, torch.full_like(found, -4 * math.log(2)), **EXACT)
    with pytest.raises(ValueError, match="the means of bits run"):
        independent_bits(MEAN + 0.6, X, X)
