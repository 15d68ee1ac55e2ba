"""Belief net and mirrored inference network as torch modules, for the general road: the definition, spelled out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nvil_repro.models import bernoulli
from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet


class BernoulliLayer(nn.Module):
    """Bernoulli units with linear logits; autoregressive ones also see the units before them."""

    def __init__(self, inputs: int, units: int, autoregressive: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(units, inputs) / max(inputs, 1) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(units))
        self.lateral = nn.Parameter(torch.zeros(units, units)) if autoregressive else None

    def forward(self, inputs: Tensor) -> Tensor:
        """What the inputs contribute to the logits: [B, in] -> [B, out]."""
        return linear(inputs, self.weight, self.bias)

    def log_prob(self, bits: Tensor, inputs: Tensor) -> Tensor:
        """log P(bits | inputs): [B, out], [B, in] -> [B]."""
        logits = self(inputs)
        if self.lateral is not None:
            logits = logits + bits @ self.lateral.triu(1)
        return bernoulli.log_prob(logits, bits)

    @torch.no_grad()
    def sample(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """[B, in] -> [B, out]; one unit after another where they depend on one another."""
        logits = self(inputs)
        uniforms = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
        if self.lateral is None:
            return bernoulli.sample(logits, uniforms)
        bits = torch.zeros_like(logits)
        for j in range(logits.shape[-1]):
            seen = logits[:, j] + bits[:, :j] @ self.lateral[:j, j]
            bits[:, j] = bernoulli.sample(seen, uniforms[:, j])
        return bits


def _listed(layers: nn.ModuleList) -> list[BernoulliLayer]:
    return [cast(BernoulliLayer, layer) for layer in layers]


class SigmoidBeliefNet(nn.Module):
    """P(x, h^1..h^L) with linear-logistic conditionals; sizes visible-first, (D, H_1, ..., H_L)."""

    def __init__(self, sizes: Sequence[int], architecture: Architecture = SBN) -> None:
        super().__init__()
        self.prior = BernoulliLayer(0, sizes[-1], architecture.prior)
        self.layers = nn.ModuleList(
            BernoulliLayer(above, below, architecture.visible and i == 0)
            for i, (below, above) in enumerate(pairwise(sizes))
        )

    def log_prob(self, x: Tensor, h: Sequence[Tensor]) -> Tensor:
        """log P(h^i | h^{i+1}), i = 0..L: [L+1, B]."""
        layers, above = [*_listed(self.layers), self.prior], [*h, h[-1][:, :0]]
        return torch.stack([p.log_prob(bits, a) for p, bits, a in zip(layers, [x, *h], above, strict=True)])


class MirroredInference(nn.Module):
    """Q(h^1..h^L | x), each layer conditioned on the sample below; x is centred by the training mean."""

    centre: Tensor

    def __init__(self, sizes: Sequence[int], centre: Tensor, architecture: Architecture = SBN) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.layers = nn.ModuleList(
            BernoulliLayer(below, above, architecture.inference) for below, above in pairwise(sizes)
        )

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """h^1..h^L ~ Q(. | x), each [B, H_i]."""
        h: list[Tensor] = []
        below = x - self.centre
        for layer in _listed(self.layers):
            below = layer.sample(below, generator)
            h.append(below)
        return tuple(h)

    def log_prob(self, h: Sequence[Tensor], x: Tensor) -> Tensor:
        """log Q(h^i | h^{i-1}), i = 1..L: [L, B]."""
        below = [x - self.centre, *h[:-1]]
        return torch.stack(
            [q.log_prob(bits, b) for q, bits, b in zip(_listed(self.layers), h, below, strict=True)]
        )


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
    model, inference = (
        SigmoidBeliefNet(sizes, net.architecture),
        MirroredInference(sizes, net.centre.clone(), net.architecture),
    )
    units = [baseline.hidden.bias.shape[-1] for baseline in net.baselines]
    baselines = [InputBaseline(i, sizes[i], count, net.centre) for i, count in enumerate(units)]
    for module in (model, inference, *baselines):
        module.to(net.prior)
    with torch.no_grad():
        for layers, conditionals in (
            (_listed(model.layers), net.generative),
            (_listed(inference.layers), net.recognition),
            ([model.prior], [net.top]),
        ):
            for layer, conditional in zip(layers, conditionals, strict=True):
                _fill(layer, conditional.weight[replica], conditional.bias[replica])
                if layer.lateral is not None:
                    layer.lateral.copy_(conditional.lateral[replica])
        for module, baseline in zip(baselines, net.baselines, strict=True):
            linears = [layer for layer in module.network if isinstance(layer, nn.Linear)]
            for linear_layer, source in zip(linears, baseline, strict=True):
                _fill(linear_layer, source.weight[replica], source.bias[replica])
    return model, inference, baselines


def _fill(layer: nn.Linear | BernoulliLayer, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight.T)
    layer.bias.copy_(bias)
