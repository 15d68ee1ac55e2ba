"""Small models of every kind, the states to sum over and p there, and what each criterion needs, as exact sums."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.learning.noise_contrastive import Noise
from nvil_repro.models import gaussian_rbm
from nvil_repro.models import rbm as rbms
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM, GaussianRbm
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import REALS, Family, energy_family

VISIBLE = 4
EXACT = {"rtol": 0, "atol": 1e-10}


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_rbm(visible: int = VISIBLE, hidden: int = 3, replicas: int = 2) -> Rbm:
    weight = normals(replicas, visible, hidden)
    return Rbm(weight, normals(replicas, visible, seed=1), normals(replicas, hidden, seed=2))


def random_gaussian_rbm(visible: int = 2) -> GaussianRbm:
    return GaussianRbm(*random_rbm(visible), normals(2, visible, seed=3) / 4)


class Problem(NamedTuple):
    """A model and points x [1, N, D] such that sums over them, by `weights` [1, N], are sums or integrals over x."""

    family: Family
    theta: Any
    x: Tensor
    weights: Tensor

    @property
    def log_z(self) -> Tensor:
        """[R]"""
        return (self.family.log_unnormalised(self.theta, self.x) + self.weights.log()).logsumexp(-1)

    @property
    def p(self) -> Tensor:
        """Probabilities of the points [R, N], summing to one."""
        log_p = self.family.log_unnormalised(self.theta, self.x) + self.weights.log()
        return log_p.softmax(-1)


def of_bits(family: Family, theta: Any) -> Problem:
    states = enumerate_bits(VISIBLE)[None]
    return Problem(family, theta, states, torch.ones(1, states.shape[1], dtype=torch.float64))


def of_reals(family: Family, theta: Any, reach: float = 14.0, step: float = 0.2) -> Problem:
    """By the trapezoid rule on a grid of two reals, exact to rounding for what is smooth and dies out."""
    line = torch.arange(-reach, reach + step / 2, step, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)[None]
    return Problem(family, theta, grid, torch.full((1, grid.shape[1]), step**2, dtype=torch.float64))


MINE = energy_family("mine", lambda theta, x: rbms.log_unnormalised(theta, x), visible=VISIBLE)
MY_REALS = energy_family("my reals", gaussian_rbm.log_unnormalised, visible=2, support=REALS)
PROBLEMS = {
    "RBM": partial(of_bits, RBM, random_rbm()),
    "mine": partial(of_bits, MINE, random_rbm()),
    "Boltzmann": partial(of_bits, BOLTZMANN, Boltzmann(normals(2, 4, 4, seed=3), normals(2, 4, seed=4))),
    "Gaussian RBM": partial(of_reals, GAUSSIAN_RBM, random_gaussian_rbm()),
    "my reals": partial(of_reals, MY_REALS, random_gaussian_rbm()),
}


def elsewhere(theta: Any) -> Any:
    """Other parameters, not far."""
    return type(theta)(*(part + normals(*part.shape, seed=20 + i) / 3 for i, part in enumerate(theta)))


def every_noise(problem: Problem) -> Noise:
    """A density on the same points, and all of them as its samples, weighted by it."""
    log_q = -(problem.x - 0.3).square().sum(-1) / 8
    log_q = log_q - (log_q + problem.weights.log()).logsumexp(-1, keepdim=True)
    return Noise(problem.x, log_q, log_q, log_q.exp() * problem.weights)


def needs(name: str, problem: Problem, theta: Any) -> dict[str, Any]:
    """What criterion `name` needs at theta, with sums in place of samples; the truth for log Z."""
    own = problem._replace(theta=theta)
    given = {
        "generalised_pseudolikelihood": {"sets": [(0, 2), (1,), (3, 1, 2)]},
        "noise_contrastive": {"noise": every_noise(problem), "log_z": own.log_z[:, None], "ratio": 3.0},
        "self_contrastive": {"samples": problem.x, "sample_weights": own.p},
    }
    return given.get(name, {})
