"""Belief net and mirrored inference network as torch modules, for the general road: the definition, spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nvil_repro.models import bernoulli
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.models.linear import Linear


class SigmoidBeliefNet(nn.Module):
    """P(x, h^1..h^L) with linear-logistic conditionals; sizes visible-first, (D, H_1, ..., H_L)."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.prior = nn.Parameter(torch.zeros(sizes[-1]))
        self.layers = nn.ModuleList(nn.Linear(above, below) for below, above in pairwise(sizes))

    def log_prob(self, x: Tensor, h: Sequence[Tensor]) -> Tensor:
        """log P(h^i | h^{i+1}), i = 0..L: [L+1, B]."""
        logits = [*(layer(above) for layer, above in zip(self.layers, h, strict=True)), self.prior]
        return torch.stack([bernoulli.log_prob(a, bits) for a, bits in zip(logits, [x, *h], strict=True)])


class MirroredInference(nn.Module):
    """Q(h^1..h^L | x), each layer conditioned on the sample below; x is centred by the training mean."""

    centre: Tensor

    def __init__(self, sizes: Sequence[int], centre: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in pairwise(sizes))

    @torch.no_grad()
    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """h^1..h^L ~ Q(. | x), each [B, H_i]."""
        h: list[Tensor] = []
        below = x - self.centre
        for layer in self.layers:
            logits = layer(below)
            uniforms = torch.rand(logits.shape, generator=generator, dtype=logits.dtype)
            below = bernoulli.sample(logits, uniforms)
            h.append(below)
        return tuple(h)

    def log_prob(self, h: Sequence[Tensor], x: Tensor) -> Tensor:
        """log Q(h^i | h^{i-1}), i = 1..L: [L, B]."""
        logits = [layer(below) for layer, below in zip(self.layers, [x - self.centre, *h[:-1]], strict=True)]
        return torch.stack([bernoulli.log_prob(a, bits) for a, bits in zip(logits, h, strict=True)])


class InputBaseline(nn.Module):
    """C_psi of layer i (from 0): a hidden layer of tanh units on h^i, on x - centre for the first."""

    centre: Tensor

    def __init__(self, layer: int, inputs: int, units: int, centre: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("centre", centre)
        self.network = nn.Sequential(nn.Linear(inputs, units), nn.Tanh(), nn.Linear(units, 1))

    def forward(self, x: Tensor, h: Sequence[Tensor]) -> Tensor:
        """[B, D] -> [B]."""
        return self.network(h[self.layer - 1] if self.layer else x - self.centre).squeeze(-1)


def as_modules(
    net: BeliefNet, replica: int = 0
) -> tuple[SigmoidBeliefNet, MirroredInference, list[InputBaseline]]:
    """One replica of a `BeliefNet` as modules with the same values (copied)."""
    sizes = (len(net.centre), *net.layers)
    model, inference = SigmoidBeliefNet(sizes), MirroredInference(sizes, net.centre)
    units = [baseline.hidden.bias.shape[-1] for baseline in net.baselines]
    baselines = [InputBaseline(i, sizes[i], count, net.centre) for i, count in enumerate(units)]
    for module in (model, inference, *baselines):
        module.to(net.centre.dtype)
    with torch.no_grad():
        model.prior.copy_(net.prior[replica])
        _fill(model, net.generative, replica)
        _fill(inference, net.recognition, replica)
        for module, source in zip(baselines, net.baselines, strict=True):
            _fill(module, source, replica)
    return model, inference, baselines


def _fill(module: nn.Module, source: Sequence[Linear], replica: int) -> None:
    """Copy one replica of `source` into the module's linear layers, in order."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer, linear in zip(layers, source, strict=True):
        layer.weight.copy_(linear.weight[replica].T)
        layer.bias.copy_(linear.bias[replica])
