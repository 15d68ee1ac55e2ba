"""The fully visible Boltzmann machine against its energy, and its sweep against enumerated conditionals."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_log_partition, state_probabilities
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann, boltzmann, gibbs, log_unnormalised, logits
from nvil_repro.models.unnormalised import site_gibbs

EXACT = {"rtol": 0, "atol": 1e-10}
X = enumerate_bits(4)


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


THETA = Boltzmann(normals(2, 4, 4), normals(2, 4, seed=1))


def test_each_pair_counts_once() -> None:
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    terms = [THETA.coupling[:, i, j, None] * X[:, i] * X[:, j] for i, j in pairs]
    found = log_unnormalised(THETA, X[None])
    torch.testing.assert_close(found, sum(terms) + THETA.bias @ X.mT, **EXACT)
    torch.testing.assert_close(
        log_unnormalised(THETA._replace(coupling=THETA.coupling.triu()), X[None]), found
    )
    assert not torch.allclose(
        log_unnormalised(THETA._replace(coupling=THETA.coupling.mT), X[None]), found
    )  # control


def test_a_sweep_draws_each_unit_given_the_others_and_leaves_the_model_as_it_is() -> None:
    """Unit j's step mixes p over x_j, by its conditional alone: p stays; its logit is the enumerated one."""
    p = state_probabilities(BOLTZMANN, THETA)
    for j in range(4):
        on = torch.sigmoid(logits(THETA, X[None]))[..., j]
        other = (torch.arange(16) ^ (1 << j)).long()
        stays = torch.where(X[:, j] == 1, on, 1 - on)
        torch.testing.assert_close((p + p[:, other]) * stays, p, **EXACT)
    uniforms = torch.rand(2, 16, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = gibbs(THETA, X[None], uniforms)
    assert torch.equal(found, site_gibbs(log_unnormalised, THETA, X[None], uniforms))
    assert not torch.equal(found, gibbs(THETA, X[None], uniforms.flip(-1)))  # control


def test_the_base_and_a_fresh_machine_are_independent_units() -> None:
    mean = torch.tensor([0.2, 0.7, 1.0, 0.5]).double()
    assert BOLTZMANN.base is not None
    for given in (mean, None):
        begin, log_z = BOLTZMANN.base(THETA, given)
        torch.testing.assert_close(exact_log_partition(BOLTZMANN, begin), log_z, **EXACT)
    p = state_probabilities(BOLTZMANN, BOLTZMANN.base(THETA, mean).theta)
    torch.testing.assert_close(p @ X, (0.95 * mean + 0.025).expand(2, 4), **EXACT)
    fresh = boltzmann((0, 1), mean=mean, dtype=torch.float64)
    assert (state_probabilities(BOLTZMANN, fresh) @ X - p @ X).abs().max() < 0.02
    assert not torch.equal(fresh.coupling[0], fresh.coupling[1])
    assert torch.equal(fresh.coupling, fresh.coupling.triu(1))
    with pytest.raises(ValueError, match="seed"):
        boltzmann((), mean=mean)
