"""What every criterion promises of every model it is for: cases that are the model's own ask for no change."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nvil_repro.learning.criteria import CRITERIA, Amounts, criterion_gradient, draw, uniforms_of
from nvil_repro.models.unnormalised import autograd_gradient
from tests.learning.criteria_problems import (
    EXACT,
    PROBLEMS,
    Problem,
    elsewhere,
    every_noise,
    needs,
    of_bits,
    random_rbm,
)

SMOOTHING = "denoising_score_matching"  # fits the model to noisy cases: see test_score_matching
PAIRS = [
    pytest.param(name, make(), id=f"{name}-{kind}")
    for name, criterion in CRITERIA.items()
    for kind, make in PROBLEMS.items()
    if criterion.support in (None, make.args[0].support) and name != SMOOTHING
]


@pytest.mark.parametrize(("name", "problem"), PAIRS)
def test_a_criterion_is_content_where_the_data_are_the_model_s(name: str, problem: Problem) -> None:
    """The gradient vanishes where p* is the data's distribution, and nowhere near it: Fisher consistency."""
    family, theta, x, _ = problem
    found = criterion_gradient(name, family, theta, x, weights=problem.p, **needs(name, problem, theta))
    for slope in (*found.theta, found.log_z):
        torch.testing.assert_close(slope, torch.zeros_like(slope), **EXACT)
    other = elsewhere(theta)  # control
    away = criterion_gradient(name, family, other, x, weights=problem.p, **needs(name, problem, other))
    for slope in away.theta:
        assert bool((slope.flatten(1).norm(dim=-1) > 1e-3).all())


@pytest.mark.parametrize("name", CRITERIA)
def test_the_objective_rises_along_the_gradient(name: str) -> None:
    """And a replica's gradient is its own: theta of the other does not enter."""
    kind = "my reals" if CRITERIA[name].support == "reals" else "RBM"
    family, theta, x, _ = problem = PROBLEMS[kind]()
    x, noise = x[:, 5:9], every_noise(problem)
    given = needs(name, problem, theta)
    if name == SMOOTHING:
        given = {"normals": x.flip(1) / 9, "sd": 0.3}
    if name == "noise_contrastive":
        given["noise"] = noise._replace(log_q_cases=noise.log_q[:, 5:9])
    found = criterion_gradient(name, family, theta, x, **given)

    def value(parts: Any) -> Any:
        return CRITERIA[name].function(family, type(theta)(*parts), x, **given)

    step, slope = 1e-6, found.theta[0]
    ahead, behind = (value((theta[0] + sign * step * slope, *theta[1:])) for sign in (1, -1))
    if name == "self_contrastive":  # whose copy moves along: its value never changes
        torch.testing.assert_close(ahead, behind, **EXACT)
        return
    expected = slope.square().sum((1, 2))
    torch.testing.assert_close((ahead - behind) / (2 * step), expected, rtol=1e-6, atol=1e-6)
    assert bool((expected > 1e-6).all())
    torch.testing.assert_close(found.objective, value(theta), **EXACT)


def test_what_is_drawn_fits_what_is_needed() -> None:
    problem = of_bits(*PROBLEMS["RBM"].args)
    x, mean = problem.x[:, 3:8], torch.tensor([0.1, 0.5, 0.9, 0.4]).double()
    amounts = Amounts(units=2, noise=3)
    for name, more in (
        ("pseudolikelihood", {}),
        ("ratio_matching", {}),
        ("minimum_probability_flow", {}),
        ("noise_contrastive", {"log_z": torch.zeros(2, 1).double()}),
        ("generalised_pseudolikelihood", {"sets": [(0, 1)]}),
    ):
        shape = uniforms_of(name, amounts, 5, 4)
        u = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        given = draw(name, problem.family, amounts, u, x, mean)
        found = criterion_gradient(name, problem.family, problem.theta, x, **given, **more)
        assert found.objective.shape == (2,)
        assert found.log_z.shape == (2, 1)
        assert bool(found.log_z.any()) == (name == "noise_contrastive")
    reals = PROBLEMS["Gaussian RBM"]()
    cases = reals.x[:, :5]
    u = torch.rand(uniforms_of(SMOOTHING, amounts, 5, 2), generator=torch.Generator().manual_seed(1))
    u[0, 0, 0] = 0
    given = draw(SMOOTHING, reals.family, amounts, u.double(), cases, mean[:2])
    assert bool(given["normals"].isfinite().all())
    torch.testing.assert_close(torch.special.ndtr(given["normals"][0, 1:]), u[0, 1:].double())


RBM_PROBLEM = of_bits(*PROBLEMS["RBM"].args)
REAL_PROBLEM = PROBLEMS["Gaussian RBM"]()


@pytest.mark.parametrize(
    ("name", "problem", "given", "says"),
    [
        ("likelihood", RBM_PROBLEM, {}, "'likelihood': expected one of pseudolikelihood"),
        ("pseudolikelihood", RBM_PROBLEM, {"sets": ()}, "does not take sets: expected units"),
        ("noise_contrastive", RBM_PROBLEM, {"log_z": torch.zeros(2, 1)}, "needs noise"),
        ("score_matching", RBM_PROBLEM, {}, "RBM is a model of bits.*use ratio_matching"),
        (SMOOTHING, RBM_PROBLEM, {"normals": RBM_PROBLEM.x, "sd": 1.0}, "use ratio_matching"),
        (SMOOTHING, REAL_PROBLEM, {"normals": REAL_PROBLEM.x, "sd": 0.0}, "sd=0.0"),
        ("pseudolikelihood", REAL_PROBLEM, {}, "Gaussian RBM is a model of reals.*use score_matching"),
        ("ratio_matching", REAL_PROBLEM, {}, "use score_matching"),
        ("minimum_probability_flow", REAL_PROBLEM, {}, "use score_matching"),
        ("generalised_pseudolikelihood", REAL_PROBLEM, {"sets": ((0,),)}, "use score_matching"),
        ("generalised_pseudolikelihood", RBM_PROBLEM, {"sets": ((),)}, r"the set \[\]"),
        ("generalised_pseudolikelihood", RBM_PROBLEM, {"sets": ((1, 1),)}, r"the set \[1, 1\]"),
        ("generalised_pseudolikelihood", RBM_PROBLEM, {"sets": ((3, 4),)}, "from 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, problem: Problem, given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        criterion_gradient(name, problem.family, problem.theta, problem.x, **given)


def test_noise_for_reals_is_the_caller_s() -> None:
    family, _, x, _ = REAL_PROBLEM
    with pytest.raises(ValueError, match=r"Gaussian RBM.*noise_contrastive\.Noise"):
        draw("noise_contrastive", family, Amounts(), torch.rand(1, 5, 2), x, torch.zeros(2))


def test_self_contrast_is_maximum_likelihood() -> None:
    """In expectation over the model's samples, at any theta and for any data: equation 18.4."""
    family, theta, x, _ = problem = of_bits(*PROBLEMS["RBM"].args)
    data = of_bits(family, elsewhere(random_rbm())).p
    given = {"samples": x, "sample_weights": problem.p}
    found = criterion_gradient("self_contrastive", family, theta, x, weights=data, **given)
    exact = autograd_gradient(family.log_unnormalised, theta, x, data - problem.p)
    for slope, expected in zip(found.theta, exact, strict=True):
        torch.testing.assert_close(slope, expected, **EXACT)
    wrong = given | {"sample_weights": data}  # control: samples of something else
    other = criterion_gradient("self_contrastive", family, theta, x, weights=data, **wrong)
    assert (other.theta[0] - exact[0]).abs().max() > 1e-2
