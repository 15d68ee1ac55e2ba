"""Distributions over all states of a small RBM, against transition matrices and sums written out."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient, state_probabilities
from nvil_repro.evaluation.state_distributions import (
    after_steps,
    expected_gradient,
    inverse_cdf,
    over_states,
    spurious_mass,
    state_bits,
    state_index,
)
from nvil_repro.models import rbm as rbms
from nvil_repro.models.rbm import RBM
from tests.learning.criteria_problems import EXACT, random_rbm

THETA = random_rbm()
STATES = enumerate_bits(4)
PATTERNS = STATES[[3, 9, 12]]
SHARES = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


def test_states_know_their_place() -> None:
    assert state_index(STATES).tolist() == list(range(16))
    assert torch.equal(state_bits(torch.arange(16), 4), STATES.long())
    p = over_states(PATTERNS, SHARES)
    assert p[0, [3, 9, 12]].tolist() == SHARES.tolist()
    assert float(p.sum()) == 1


def test_uniforms_fall_where_the_distribution_function_rises() -> None:
    u = torch.tensor([0.0, 0.24, 0.25, 0.74, 0.75, 1 - 2**-53], dtype=torch.float64)
    p = torch.tensor([[0.0, 1, 0, 2, 1, 0], [4.0, 0, 0, 0, 0, 0]], dtype=torch.float64)  # of 4
    expected = [[1, 1, 3, 3, 4, 4], [0] * 6]
    assert inverse_cdf(p.cumsum(-1), u).tolist() == expected
    assert inverse_cdf(p[0].cumsum(-1), u).tolist() == expected[0]


def test_steps_are_those_of_the_transition_matrix() -> None:
    """T(x, x') = sum_h p(h | x) p(x' | h), and the model is what it leaves as it is."""
    hidden = enumerate_bits(3)
    up, down = rbms.hidden_logits(THETA, STATES[None]), rbms.visible_logits(THETA, hidden[None])
    up, down = (torch.sigmoid(logits)[:, :, None] for logits in (up, down))
    of_h = (hidden * up + (1 - hidden) * (1 - up)).prod(-1)
    of_x = (STATES * down + (1 - STATES) * (1 - down)).prod(-1)
    matrix = torch.einsum("rch,rhd->rcd", of_h, of_x)
    p = over_states(PATTERNS, SHARES).expand(2, -1)
    expected = torch.einsum("rc,rcd,rde->re", p, matrix, matrix)
    torch.testing.assert_close(after_steps(THETA, p, 2), expected, **EXACT)
    assert (after_steps(THETA, p, 1) - expected).abs().max() > 1e-3  # control
    model = state_probabilities(RBM, THETA)
    torch.testing.assert_close(after_steps(THETA, model, 1), model, **EXACT)


def test_the_expectation_with_the_model_s_negative_phase_is_the_likelihood_s() -> None:
    cases = PATTERNS[[0, 0, 0, 0, 0, 1, 1, 2, 2, 2]]
    exact = exact_gradient(RBM, THETA, cases)
    found = expected_gradient(RBM, THETA, PATTERNS, SHARES, state_probabilities(RBM, THETA))
    for slope, expected in zip(found, exact, strict=True):
        torch.testing.assert_close(slope, expected, **EXACT)
    cd = expected_gradient(RBM, THETA, PATTERNS, SHARES, after_steps(THETA, over_states(PATTERNS, SHARES), 1))
    assert (cd.weight - exact.weight).abs().max() > 1e-2  # control


def test_spurious_mass_is_that_of_the_states_far_away() -> None:
    p = state_probabilities(RBM, THETA)
    for radius in range(4):
        far = [
            s for s in range(16) if min(int((STATES[s] != pattern).sum()) for pattern in PATTERNS) > radius
        ]
        expected = p[:, far].sum(-1)
        torch.testing.assert_close(spurious_mass(RBM, THETA, PATTERNS, radius), expected, **EXACT)
        assert radius or bool((expected > 0.1).all())
    with pytest.raises(ValueError, match="2\\^30"):
        spurious_mass(RBM, random_rbm(30, 25), torch.zeros(1, 30), 1)
