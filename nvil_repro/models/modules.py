"""Belief net and mirrored inference network as plain torch modules, for the general road: the definition, spelled out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nvil_repro.models import bernoulli
from nvil_repro.models.belief_net import BeliefNet


class SigmoidBeliefNet(nn.Module):
    """P(x, h^1..h^L) with linear-logistic conditionals; sizes visible-first, (D, H_1, ..., H_L)."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.prior = nn.Parameter(torch.zeros(sizes[-1]))
        self.layers = nn.ModuleList(nn.Linear(above, below) for below, above in zip(sizes, sizes[1:], strict=False))

    def log_prob(self, x: Tensor, h: Sequence[Tensor]) -> Tensor:
        """log P(h^i | h^{i+1}), i = 0..L: [L+1, B]."""
        logits = [*(layer(above) for layer, above in zip(self.layers, h, strict=True)), self.prior]
        return torch.stack([bernoulli.log_prob(a, bits) for a, bits in zip(logits, [x, *h], strict=True)])


class MirroredInference(nn.Module):
    """Q(h^1..h^L | x), each layer conditioned on the sample below; x is centred by the training mean."""

    def __init__(self, sizes: Sequence[int], centre: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in zip(sizes, sizes[1:], strict=False))

    @torch.no_grad()
    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """h^1..h^L ~ Q(. | x), each [B, H_i]."""
        h: list[Tensor] = []
        below = x - self.centre
        for layer in self.layers:
            logits = layer(below)
            below = bernoulli.sample(logits, torch.rand(logits.shape, generator=generator, dtype=logits.dtype))
            h.append(below)
        return tuple(h)

    def log_prob(self, h: Sequence[Tensor], x: Tensor) -> Tensor:
        """log Q(h^i | h^{i-1}), i = 1..L: [L, B]."""
        below = [x - self.centre, *h[:-1]]
        return torch.stack([bernoulli.log_prob(f(b), bits) for f, b, bits in zip(self.layers, below, h, strict=True)])


class InputBaseline(nn.Module):
    """C_psi of layer i (from 0): a hidden layer of tanh units on h^i, on x - centre for the first."""

    def __init__(self, layer: int, inputs: int, units: int, centre: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("centre", centre)
        self.network = nn.Sequential(nn.Linear(inputs, units), nn.Tanh(), nn.Linear(units, 1))

    def forward(self, x: Tensor, h: Sequence[Tensor]) -> Tensor:
        """[B, D] -> [B]."""
        return self.network(h[self.layer - 1] if self.layer else x - self.centre).squeeze(-1)


def as_modules(net: BeliefNet, replica: int = 0) -> tuple[SigmoidBeliefNet, MirroredInference, list[InputBaseline]]:
    """One replica of a `BeliefNet` as modules with the same values (copied)."""
    sizes = (len(net.centre), *net.layers)
    model, inference = SigmoidBeliefNet(sizes), MirroredInference(sizes, net.centre)
    units = [baseline.hidden.bias.shape[-1] for baseline in net.baselines]
    baselines = [InputBaseline(i, sizes[i], count, net.centre) for i, count in enumerate(units)]
    for module in (model, inference, *baselines):
        module.to(net.centre.dtype)
    pairs = list(zip(model.layers, net.generative, strict=True)) + list(zip(inference.layers, net.recognition, strict=True))
    for module, source in zip(baselines, net.baselines, strict=True):
        pairs += [(module.network[0], source.hidden), (module.network[2], source.output)]
    with torch.no_grad():
        model.prior.copy_(net.prior[replica])
        for layer, linear in pairs:
            layer.weight.copy_(linear.weight[replica].T)
            layer.bias.copy_(linear.bias[replica])
    return model, inference, baselines
