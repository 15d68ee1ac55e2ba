"""Negative phases by Markov chains: their expectations, over every outcome of every draw, against exact gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient, state_probabilities
from nvil_repro.learning.markov_chains import fresh, phases, walk
from nvil_repro.models import rbm as rbms
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import REALS, energy_family
from tests.models.test_unnormalised import EXACT, normals, random_rbm

X = torch.tensor([[1.0, 0, 1], [0, 1, 1]]).double()


def small() -> Rbm:
    return random_rbm(3, 2, replicas=1)


def outcomes(theta: Rbm) -> tuple[Tensor, Tensor, Tensor]:
    """Uniforms [2^(H+D), H + D] that give every (h, x'), and those (h, x')."""
    on = enumerate_bits(5)
    return (1 - on) * (1 - 1e-15), on[:, :2], on[:, 2:]


def chance(theta: Rbm, x: Tensor, h: Tensor, after: Tensor) -> Tensor:
    """p(h | x) p(x' | h): [C]."""
    up = torch.sigmoid(rbms.hidden_logits(theta, x[None, None]))[0]
    down = torch.sigmoid(rbms.visible_logits(theta, h[None]))[0]
    of_h = (h * up + (1 - h) * (1 - up)).prod(-1)
    return of_h * (after * down + (1 - after) * (1 - down)).prod(-1)


def transition_matrix(theta: Rbm) -> Tensor:
    """T[x, x'], every h summed out."""
    states, (_, h, after) = enumerate_bits(3), outcomes(theta)
    place = (after @ torch.tensor([1.0, 2, 4]).double()).long()
    rows = [torch.zeros(8).double().index_add(0, place, chance(theta, x, h, after)) for x in states]
    return torch.stack(rows)


def flat(theta: Any) -> Tensor:
    return torch.cat([part.flatten() for part in theta])


def negative(theta: Rbm, p: Tensor) -> Tensor:
    return flat(RBM.gradient(theta, enumerate_bits(3)[None], p[None]))


def test_cd_1_expects_what_the_transition_matrix_makes_of_the_data() -> None:
    theta, (uniforms, h, after) = small(), outcomes(small())
    expected, matrix = torch.zeros(()).double(), transition_matrix(theta)
    for x in X:
        ends = walk(RBM, theta, x.expand(1, 32, 3), [uniforms])
        assert torch.equal(ends[0], after)
        for p, end in zip(chance(theta, x, h, after), ends[0], strict=True):
            slopes, _ = phases(RBM, theta, x[None, None], end[None, None])
            expected = expected + p * flat(slopes) / len(X)
    began = (
        torch.zeros(8)
        .double()
        .index_add(0, (X @ torch.tensor([1.0, 2, 4]).double()).long(), torch.ones(2).double() / 2)
    )
    positive = negative(theta, began)
    torch.testing.assert_close(expected, positive - negative(theta, began @ matrix), **EXACT)
    twice = positive - negative(theta, began @ matrix @ matrix)  # control: CD-2
    assert (expected - twice).abs().max() > 1e-3
    assert (flat(exact_gradient(RBM, theta, X)) - expected).abs().max() > 1e-2  # CD is biased


def test_chains_that_reached_the_model_expect_the_exact_gradient_and_stay_there() -> None:
    """PCD's stationary gradient: the model's own states stay as they are, and their mean is the negative phase."""
    theta = small()
    p, matrix = state_probabilities(RBM, theta)[0], transition_matrix(theta)
    torch.testing.assert_close(p @ matrix, p, **EXACT)
    total = torch.zeros(()).double()
    for weight, state in zip(p, enumerate_bits(3), strict=True):
        slopes, gap = phases(RBM, theta, X[None], state[None, None])
        total = total + weight * flat(slopes)
        levels = [RBM.log_unnormalised(theta, x[None]) for x in (X, state[None])]
        torch.testing.assert_close(gap, levels[0].mean(-1) - levels[1][:, 0], **EXACT)
    torch.testing.assert_close(total, flat(exact_gradient(RBM, theta, X)), **EXACT)
    burnt = torch.eye(8).double()[0] @ torch.linalg.matrix_power(
        matrix, 400
    )  # Algorithm 18.1: a long burn-in
    torch.testing.assert_close(burnt, p, **EXACT)
    assert (torch.eye(8).double()[0] @ matrix - p).abs().max() > 1e-2  # control: a short one


def test_fresh_chains_are_samples_of_the_base_and_know_nothing_of_theta() -> None:
    theta, other = random_rbm(), random_rbm()._replace(weight=normals(2, 4, 3, seed=9))
    u = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chains = fresh(RBM, theta, u)
    assert torch.equal(chains, (u[:, 3:] < 0.5).double().expand(2, 5, 4))  # without a mean, fair bits
    assert torch.equal(chains, fresh(RBM, other, u))
    mean = torch.tensor([1.0, 0, 1, 0]).double()
    near = fresh(RBM, theta, u, mean)
    assert torch.equal(near, (u[:, 3:] < 0.95 * mean + 0.025).double().expand(2, 5, 4))
    mine = energy_family("mine", rbms.log_unnormalised, visible=4)
    assert torch.equal(fresh(mine, theta, u[:, :4]), (u[:, :4] < 0.5).double().expand(2, 5, 4))


def test_what_a_family_lacks_is_named() -> None:
    theta, u = small(), torch.zeros(1, 5).double()
    reals = energy_family("mine", rbms.log_unnormalised, visible=3, support=REALS)
    with pytest.raises(ValueError, match="mine has no Gibbs step"):
        walk(reals, theta, X[None], [u])
    homeless = GAUSSIAN_RBM._replace(base=None)
    with pytest.raises(ValueError, match="no base to begin chains of reals from"):
        fresh(homeless, theta, u)
