"""Every estimator's mean over draws is the expectation that is claimed for it."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.criterion_quality import flat, gradient_quality
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient
from nvil_repro.evaluation.gradient_estimators import Task
from nvil_repro.learning.criteria import Amounts
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann
from nvil_repro.models.rbm import RBM
from tests.learning.criteria_problems import EXACT, normals, random_rbm

PATTERNS = enumerate_bits(4)[[3, 9, 12]]
SHARES = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
TASK = Task(
    RBM,
    random_rbm(),
    PATTERNS,
    SHARES,
    batch=400,
    amounts=Amounts(units=2, noise=2),
    sets=((0, 1), (2, 3)),
)
NAMES = [
    *("exact", "naive1", "CD1", "CD5", "PCD", "pseudolikelihood", "generalised_pseudolikelihood"),
    *("ratio_matching", "minimum_probability_flow", "noise_contrastive", "self_contrastive"),
]
DRAWS = 50


@pytest.mark.parametrize("name", NAMES)
def test_draws_scatter_around_the_expectation(name: str) -> None:
    """Their mean is within four standard errors; another estimator's expectation is not."""
    (expected,), estimator = TASK.expected([name]).values(), TASK.estimators([name])[name]
    g = torch.stack([flat(estimator(s)) for s in range(DRAWS)])
    error = (g.var(0).sum(-1) / DRAWS).sqrt()
    assert bool(((g.mean(0) - flat(expected)).norm(dim=-1) < 4 * error).all())
    other = "CD1" if name != "CD1" else "exact"
    away = flat(TASK.expected([other])[other])
    assert bool(((g.mean(0) - away).norm(dim=-1) > 4 * error).any())


def test_the_exact_gradient_is_the_likelihood_s() -> None:
    cases = PATTERNS[[0, 0, 0, 0, 0, 1, 1, 2, 2, 2]]
    for slope, expected in zip(TASK.exact, exact_gradient(RBM, TASK.theta, cases), strict=True):
        torch.testing.assert_close(slope, expected, **EXACT)


def test_a_table_of_them() -> None:
    names = ("PCD", "CD1", "ratio_matching")
    rows = gradient_quality(TASK.estimators(names), TASK.exact, 5, TASK.expected(names))
    pcd, cd, ratio = rows
    torch.testing.assert_close(pcd.cosine, torch.ones(2).double(), **EXACT)
    assert bool((pcd.bias < 1e-10).all())
    assert bool((cd.bias > 0.05).all())
    assert bool((ratio.cosine < 0.99).all())
    assert not any(row.cosine_stderr.any() for row in rows)


def test_chains_of_other_families_have_no_sum() -> None:
    theta = Boltzmann(normals(1, 4, 4), normals(1, 4, seed=1))
    task = Task(BOLTZMANN, theta, PATTERNS, SHARES, batch=20)
    names = ("CD1", "PCD", "pseudolikelihood")
    assert list(task.expected(names)) == ["PCD", "pseudolikelihood"]
    rows = gradient_quality(task.estimators(names), task.exact, 3, task.expected(names))
    assert all(row.seconds > 0 for row in rows)


@pytest.mark.parametrize("name", ["CD", "CD0", "likelihood", "naive"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}': expected exact, PCD"):
        TASK.estimators([name])
