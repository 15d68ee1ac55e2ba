"""Nonlinear networks for the general road: a deep inference network over bits, and how such nets start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nvil_repro import streams
from nvil_repro.models import bernoulli


def tanh_network(sizes: Sequence[int]) -> nn.Sequential:
    """Linear maps between layers of these sizes, inputs first, with tanh units between them: [B, in] -> [B, out]."""
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        parts += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*parts[:-1])


class BernoulliInference(nn.Module):
    """Q(h | x): factorial bits whose logits any network [B, D] -> [B, H] makes of the centred x.

    With a single linear map it is the paper's mirrored inference network.
    """

    centre: Tensor
    noise = staticmethod(streams.uniforms)  # what `sample` takes

    def __init__(self, network: nn.Module, units: int, centre: Tensor) -> None:
        super().__init__()
        self.network, self.units = network, units
        self.register_buffer("centre", centre)

    @torch.no_grad()
    def sample(self, x: Tensor, uniforms: Tensor) -> tuple[Tensor, ...]:
        """One layer h ~ Q(. | x) from uniforms [B, H]."""
        return (bernoulli.sample(self.network(x - self.centre), uniforms),)

    def log_prob(self, h: Sequence[Tensor], x: Tensor) -> Tensor:
        """log Q(h | x) in nats: [B]."""
        return bernoulli.log_prob(self.network(x - self.centre), h[0])


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """Weights normal with standard deviation 1/sqrt(in), biases zero; a function of the seed and the names alone."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            drawn = streams.normals(seed, f"init/{name}", 0, tuple(parameter.shape))
            parameter.copy_(drawn / math.sqrt(max(parameter.shape[-1], 1)))
        else:
            parameter.zero_()
