"""Score matching and its denoising form against formulas by hand; a family's own score against autograd."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.learning.criteria import criterion_gradient
from nvil_repro.learning.score_matching import denoising_score_matching, score_and_curvature, score_matching
from nvil_repro.models.unnormalised import REALS, energy_family
from tests.learning.criteria_problems import EXACT, PROBLEMS, normals, of_reals


class Quartic(NamedTuple):
    """log p* = -a (x_1^4 + x_2^4) - c x_1 x_2."""

    a: Tensor  # [R, 1]
    c: Tensor  # [R, 1]


def log_quartic(theta: Quartic, x: Tensor) -> Tensor:
    return -theta.a * x.pow(4).sum(-1) - theta.c * x.prod(-1)


class Normal(NamedTuple):
    """A normal of one real."""

    mean: Tensor  # [R, 1]
    log_variance: Tensor  # [R, 1]


def log_normal(theta: Normal, x: Tensor) -> Tensor:
    return -(x[..., 0] - theta.mean).square() / theta.log_variance.exp() / 2


QUARTIC = energy_family("quartic", log_quartic, visible=2, support=REALS)
NORMAL = energy_family("normal", log_normal, visible=1, support=REALS)
THETA = Quartic(torch.tensor([[0.7], [1.2]]).double(), torch.tensor([[0.5], [-1.0]]).double())


def test_score_matching_is_its_formula() -> None:
    x, (a, c) = normals(1, 5, 2), THETA
    score = -4 * a[..., None] * x**3 - c[..., None] * x.flip(-1)
    naive = -((score**2).sum(-1) / 2 - 12 * a * (x**2).sum(-1)).mean(-1)
    torch.testing.assert_close(score_matching(QUARTIC, THETA, x), naive, **EXACT)
    assert (score_matching(QUARTIC, THETA, x + 0.1) - naive).abs().max() > 0.1  # control


def test_score_matching_wants_nothing_else_of_its_own_quartic() -> None:
    problem = of_reals(QUARTIC, THETA, reach=4.0, step=0.1)
    truth = criterion_gradient("score_matching", QUARTIC, THETA, problem.x, weights=problem.p)
    for slope in truth.theta:
        torch.testing.assert_close(slope, torch.zeros_like(slope), **EXACT)
    other = THETA._replace(c=THETA.c + 0.3)  # control
    away = criterion_gradient("score_matching", QUARTIC, other, problem.x, weights=problem.p)
    assert bool((away.theta.c < -1e-2).all())


def test_a_family_s_own_score_is_autograd_s() -> None:
    own, general = PROBLEMS["Gaussian RBM"](), PROBLEMS["my reals"]()
    x = normals(1, 6, 2)
    assert own.family.score_and_curvature is not None
    assert general.family.score_and_curvature is None
    parts = [score_and_curvature(problem.family, problem.theta, x) for problem in (own, general)]
    for mine, found in zip(*parts, strict=True):
        torch.testing.assert_close(mine, found, **EXACT)
    for name, given in (("score_matching", {}), ("denoising_score_matching", {"normals": x, "sd": 0.4})):
        pair = [criterion_gradient(name, p.family, p.theta, x, **given).theta for p in (own, general)]
        for mine, found in zip(*pair, strict=True):
            torch.testing.assert_close(mine, found, **EXACT)
    assert not torch.allclose(parts[0][0], parts[0][1])  # control


def test_denoising_is_its_formula() -> None:
    x, n, sd = normals(1, 5, 2), normals(1, 5, 2, seed=1), 0.4
    noisy = x + sd * n
    score = -4 * THETA.a[..., None] * noisy**3 - THETA.c[..., None] * noisy.flip(-1)
    naive = -(score - (x - noisy) / sd**2).square().sum(-1).mean(-1) / 2
    torch.testing.assert_close(denoising_score_matching(QUARTIC, THETA, x, n, sd), naive, **EXACT)
    assert (denoising_score_matching(QUARTIC, THETA, x, n, 0.5) - naive).abs().max() > 0.1  # control


def test_denoising_wants_the_model_of_the_noisy_cases() -> None:
    """Of N(m, v) data with noise of variance s^2 that is N(m, v + s^2); sums by Gauss-Hermite quadrature."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(8))
    pairs = torch.cartesian_prod(nodes, nodes)
    w = torch.cartesian_prod(weights, weights).prod(-1)[None]
    mean, variance, sd = 0.4, 1.3, 0.6
    given = {"normals": pairs[None, :, 1:], "sd": sd, "weights": w / w.sum()}

    def slope(v: float) -> Normal:
        theta = Normal(torch.full_like(w[:, :1], mean), torch.full_like(w[:, :1], v).log())
        x = mean + variance**0.5 * pairs[None, :, :1]
        return criterion_gradient("denoising_score_matching", NORMAL, theta, x, **given).theta

    for part in slope(variance + sd**2):
        torch.testing.assert_close(part, torch.zeros_like(part), **EXACT)
    assert slope(variance).log_variance > 1e-2  # control
