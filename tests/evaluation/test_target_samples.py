"""Samples of the model: exact ones by enumeration of either side, and what chains make of cases."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nvil_repro.evaluation import target_samples
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.evaluation.target_samples import annealed_samples, exact_samples, gibbs_samples
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM, GaussianRbm, log_unnormalised_hidden, visible_mean
from nvil_repro.models.rbm import RBM
from nvil_repro.models.unnormalised import Family
from tests.models.test_unnormalised import normals, random_rbm

COUNT = 4000


def frequencies(x: torch.Tensor) -> torch.Tensor:
    """Shares of the 16 states of 4 bits: [R, 16]."""
    index = (x @ torch.tensor([1.0, 2, 4, 8]).to(x)).long()
    return torch.stack([torch.bincount(row, minlength=16) for row in index]) / x.shape[1]


@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_exact_samples_have_the_probabilities_of_the_states(
    side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if side == "hidden":
        monkeypatch.setattr(target_samples, "LIMIT", 8)  # 3 hidden units, but not 4 visible ones
    theta = random_rbm()
    p, found = state_probabilities(RBM, theta), frequencies(exact_samples(RBM, theta, COUNT))
    assert (found - p).abs().max() < 4 * (0.25 / COUNT) ** 0.5
    assert (found - p.flip(0)).abs().max() > 0.05  # control: the other machine


def test_exact_samples_of_real_units_come_by_their_hidden_ones() -> None:
    theta = GaussianRbm(*random_rbm(), torch.zeros(2, 4).double())
    h = enumerate_bits(3)
    p = log_unnormalised_hidden(theta, h[None]).softmax(-1)
    expected = (p[..., None] * visible_mean(theta, h[None])).sum(1)
    x = exact_samples(GAUSSIAN_RBM, theta, COUNT)
    assert ((x.mean(1) - expected).abs() < 5 * x.std(1) / COUNT**0.5).all()


def test_the_hidden_side_is_computed_in_double_precision() -> None:
    single = GaussianRbm(*(part.float() for part in (*random_rbm(), normals(2, 4) / 4)))
    double = GaussianRbm(*(part.double() for part in single))
    found, expected = (exact_samples(GAUSSIAN_RBM, theta, 50) for theta in (single, double))
    assert torch.equal(found, expected.float())
    assert found.dtype == torch.float32
    assert not torch.equal(found.double(), expected)  # control
    single.visible_bias[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"visible_bias holds nan at \[1, 2\]"):
        exact_samples(GAUSSIAN_RBM, single, 2)


@pytest.mark.parametrize(
    ("family", "theta"), [(RBM, random_rbm()), (BOLTZMANN, Boltzmann(normals(2, 4, 4), normals(2, 4)))]
)
def test_chains_become_samples(family: Family, theta: Any) -> None:
    p = state_probabilities(family, theta)
    far = torch.ones(3, 4, dtype=torch.uint8)
    for x in (
        gibbs_samples(family, theta, far, COUNT, burn_in=50),
        annealed_samples(family, theta, COUNT, ladder=[0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]),
    ):
        assert (frequencies(x) - p).abs().max() < 0.04
    still = gibbs_samples(family, theta, far, 5, burn_in=0)
    assert torch.equal(still, torch.ones(2, 5, 4).double())


def test_what_cannot_be_enumerated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_samples, "LIMIT", 4)
    with pytest.raises(ValueError, match="use gibbs_samples"):
        exact_samples(RBM, random_rbm(), 2)
