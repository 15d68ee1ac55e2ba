"""Gaussian latent variables for the general road: P(h) = N(0, I), P(x | h) Bernoulli, Q(h | x) diagonal Gaussian.

The model and inference network of Kingma & Welling, *Auto-Encoding Variational Bayes*, 2014 (appendix C).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nvil_repro import streams
from nvil_repro.models import bernoulli


def log_normal(h: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log prod_j N(h_j; mean_j, deviation_j^2) in nats: [..., H] -> [...]."""
    residual = (h - mean) * torch.exp(-log_deviation)
    return (-0.5 * residual.square() - log_deviation - 0.5 * math.log(2 * math.pi)).sum(-1)


class GaussianModel(nn.Module):
    """P(h) = N(0, I) and P(x | h): independent pixels whose logits any network [B, H] -> [B, D] makes of h."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def log_likelihood(self, x: Tensor, h: Tensor) -> Tensor:
        """log P(x | h) in nats: [B]."""
        return bernoulli.log_prob(self.network(h), x)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P(x | h) and log P(h) in nats: [2, B]."""
        zero = torch.zeros_like(h)
        return torch.stack([self.log_likelihood(x, h), log_normal(h, zero, zero)])


class GaussianInference(nn.Module):
    """Q(h | x) = N(mean, diag deviation^2): any network [B, D] -> [B, 2H] of the centred x gives both."""

    centre: Tensor
    noise = staticmethod(streams.normals)  # what `sample` and `transform` take

    def __init__(self, network: nn.Module, units: int, centre: Tensor) -> None:
        super().__init__()
        self.network, self.units = network, units
        self.register_buffer("centre", centre)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-deviation of Q(h | x), [B, H] each."""
        mean, log_deviation = self.network(x - self.centre).chunk(2, -1)
        return mean, log_deviation

    def transform(self, x: Tensor, normals: Tensor) -> Tensor:
        """h = mean + deviation * normals, a differentiable function of the parameters: [B, H]."""
        mean, log_deviation = self(x)
        return mean + torch.exp(log_deviation) * normals

    @torch.no_grad()
    def sample(self, x: Tensor, normals: Tensor) -> Tensor:
        """The same h ~ Q(. | x) from standard normals [B, H], as a constant."""
        return self.transform(x, normals)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """log Q(h | x) in nats: [B]."""
        return log_normal(h, *self(x))

    def kl(self, x: Tensor) -> Tensor:
        """KL(Q(h | x) || N(0, I)) in nats (Kingma & Welling, appendix B): [B]."""
        mean, log_deviation = self(x)
        return 0.5 * (mean.square() + torch.exp(2 * log_deviation) - 2 * log_deviation - 1).sum(-1)
