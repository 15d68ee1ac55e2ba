"""Small models and inference networks as modules, float64, every parameter drawn from its seed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

from nvil_repro.learning.estimators import Nets
from nvil_repro.models.deep import BernoulliInference, initialise, tanh_network
from nvil_repro.models.gaussian import GaussianInference, GaussianModel
from nvil_repro.models.modules import InputBaseline, SigmoidBeliefNet

VISIBLE = 6


def gaussian_nets(seed: int = 0, units: int = 2) -> Nets:
    """Six bits, Gaussian latents, tanh units on both ways."""
    centre = torch.full((VISIBLE,), 0.3)
    model = GaussianModel(tanh_network([units, 4, VISIBLE]))
    inference = GaussianInference(tanh_network([VISIBLE, 5, 4, 2 * units]), units, centre)
    return _drawn(Nets(model, inference, [InputBaseline(0, VISIBLE, 3, centre)]), seed)


def bernoulli_nets(seed: int = 0, sizes: tuple[int, ...] = (VISIBLE, 5, 3)) -> Nets:
    """Six bits, bits as latents, an inference network of these layers."""
    centre = torch.full((VISIBLE,), 0.3)
    model = SigmoidBeliefNet([VISIBLE, sizes[-1]])
    inference = BernoulliInference(tanh_network(sizes), sizes[-1], centre)
    return _drawn(Nets(model, inference, [InputBaseline(0, VISIBLE, 3, centre)]), seed)


def _drawn(nets: Nets, seed: int) -> Nets:
    initialise(nets, seed)
    for parameter in nets.parameters():  # no bias is zero
        parameter.data += 0.1
    return nets.double()


class LinearGaussian(nn.Module):
    """P(h) = N(0, I), P(x | h) = N(W h + b, sigma^2 I): its posterior and the gradients of its bound are known."""

    def __init__(self, visible: int, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(visible, units))
        self.bias = nn.Parameter(torch.randn(visible))
        self.log_sigma = nn.Parameter(torch.tensor(0.3))

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        residual = (x - h @ self.weight.T - self.bias) / self.log_sigma.exp()
        ones = torch.ones(x.shape[-1]) * (self.log_sigma + 0.5 * math.log(2 * math.pi))
        log_p = -0.5 * residual.square().sum(-1) - ones.sum()
        return torch.stack([log_p, -0.5 * (h.square() + math.log(2 * math.pi)).sum(-1)])

    def bound(self, x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        """E_Q[log P(x, h) - log Q(h | x)] of Q = N(mean, diag deviation^2), in closed form: [B]."""
        variance = (2 * self.log_sigma).exp()
        squares = (x - mean @ self.weight.T - self.bias).square().sum(-1)
        squares = squares + deviation.square() @ self.weight.square().sum(0)
        likelihood = -0.5 * squares / variance - x.shape[-1] * (self.log_sigma + 0.5 * math.log(2 * math.pi))
        prior = -0.5 * (mean.square() + deviation.square() + math.log(2 * math.pi)).sum(-1)
        entropy = (deviation.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
        return likelihood + prior + entropy


def quadrature(dimensions: int, nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes [G, dimensions] and weights [G] of expectations under N(0, I), exact up to degree 2 * nodes - 1 in each."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    grid = np.array(list(itertools.product(points, repeat=dimensions)))
    products = np.array([math.prod(each) for each in itertools.product(weights, repeat=dimensions)])
    return torch.from_numpy(grid), torch.from_numpy(products)
