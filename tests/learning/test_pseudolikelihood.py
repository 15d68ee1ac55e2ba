"""Generalised pseudolikelihood between its two ends, the pseudolikelihood and the likelihood."""

from __future__ import annotations

import torch

from nvil_repro.learning.pseudolikelihood import generalised_pseudolikelihood, pseudolikelihood
from tests.learning.criteria_problems import EXACT, PROBLEMS, of_bits

FAMILY, THETA, X, _ = PROBLEM = of_bits(*PROBLEMS["RBM"].args)
WEIGHTS = torch.arange(1, 17).double()[None] / 136


def test_sets_of_one_are_the_pseudolikelihood() -> None:
    found = generalised_pseudolikelihood(FAMILY, THETA, X, [(j,) for j in range(4)], WEIGHTS)
    torch.testing.assert_close(found, pseudolikelihood(FAMILY, THETA, X, WEIGHTS), **EXACT)
    fewer = generalised_pseudolikelihood(FAMILY, THETA, X, [(j,) for j in range(3)], WEIGHTS)  # control
    assert (found - fewer).abs().max() > 0.1


def test_one_set_of_all_is_the_likelihood() -> None:
    found = generalised_pseudolikelihood(FAMILY, THETA, X, [(2, 0, 1, 3)], WEIGHTS)
    torch.testing.assert_close(found, (PROBLEM.p.log() * WEIGHTS).sum(-1), **EXACT)
    part = generalised_pseudolikelihood(FAMILY, THETA, X, [(2, 0, 1)], WEIGHTS)  # control
    assert (found - part).abs().max() > 0.1


def test_between_them_a_set_is_given_the_rest() -> None:
    p = PROBLEM.p.view(2, 2, 2, 2, 2)  # [R, x_4, x_3, x_2, x_1]
    of_set = p / p.sum((2, 4), keepdim=True)  # x_1 and x_3 given x_2 and x_4
    found = generalised_pseudolikelihood(FAMILY, THETA, X, [(0, 2)], WEIGHTS)
    torch.testing.assert_close(found, (of_set.log().flatten(1) * WEIGHTS).sum(-1), **EXACT)
    other = generalised_pseudolikelihood(FAMILY, THETA, X, [(0, 1)], WEIGHTS)  # control
    assert (found - other).abs().max() > 0.1
