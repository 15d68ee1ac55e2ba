"""The same update as others would write it for this model: plain eager PyTorch, gradients by autograd.

Autoregressive layers are sampled by the naive loop, a unit of the whole minibatch at a time.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from benchmarks.peers import Step, in_turn, optimiser
from benchmarks.timing import Way
from benchmarks.work import Work
from nvil_repro.learning.nvil import Ingredients
from nvil_repro.models.modules import BernoulliLayer, as_modules


def autograd(work: Work) -> list[Way]:
    """NVIL, where samples and log-probabilities share one forward pass, or wake-sleep."""
    step = _wake_sleep_step if work.method == "wake-sleep" else _nvil_step
    return in_turn(work, [step(work, r, switches) for r, switches in enumerate(work.ingredients)])


@torch.no_grad()
def draw(layer: BernoulliLayer, feedforward: Tensor) -> Tensor:
    """Bits [B, out] of a layer from what its inputs contribute to the logits [B, out]."""
    if layer.lateral is None:
        return torch.bernoulli(torch.sigmoid(feedforward))
    bits = torch.zeros_like(feedforward)
    for j in range(bits.shape[1]):
        logits = feedforward[:, j] + bits[:, :j] @ layer.lateral[:j, j]
        bits[:, j] = torch.bernoulli(torch.sigmoid(logits))
    return bits


def _listed(layers: nn.ModuleList) -> list[BernoulliLayer]:
    return [cast(BernoulliLayer, layer) for layer in layers]


def _log_prob(layer: BernoulliLayer, feedforward: Tensor, bits: Tensor) -> Tensor:
    logits = feedforward if layer.lateral is None else feedforward + bits @ layer.lateral.triu(1)
    return -cross_entropy(logits, bits, reduction="none").sum(-1)


def _nvil_step(work: Work, replica: int, ingredients: Ingredients) -> Step:
    model, inference, baselines = as_modules(work.net(), replica)
    sgd, alpha, layers = optimiser(work, model, inference, baselines), work.settings.alpha, len(work.layers)
    mean, variance = torch.zeros(layers, 1), torch.zeros(layers, 1)

    def step(x: Tensor) -> None:
        inputs, h, q, values = x - inference.centre, [], [], []
        for i, layer in enumerate(_listed(inference.layers)):
            feedforward = layer(inputs)
            if ingredients.input_baseline:
                values.append(baselines[i].network(inputs).squeeze(-1))
            inputs = draw(layer, feedforward)
            h.append(inputs)
            q.append(_log_prob(layer, feedforward, inputs))
        p = [
            _log_prob(layer, layer(above), below)
            for layer, above, below in zip(_listed(model.layers), h, [x, *h[:-1]], strict=True)
        ]
        p.append(_log_prob(model.prior, model.prior.bias.expand_as(inputs), inputs))
        log_q, log_p = torch.stack(q), torch.stack(p)
        idb = torch.stack(values) if values else None
        with torch.no_grad():
            signal = (log_p[:-1] - log_q).flip(0).cumsum(0).flip(0) + log_p[-1]
            if idb is not None:
                signal -= idb
            mean.lerp_(signal.mean(1, keepdim=True), 1 - alpha)
            variance.lerp_(signal.var(1, correction=0, keepdim=True), 1 - alpha)
            if ingredients.constant_baseline:
                signal -= mean
            if ingredients.variance_normalisation:
                signal /= variance.sqrt().clamp(min=1)
        objective = log_p.sum() + (signal * (log_q if idb is None else log_q + idb)).sum()
        sgd.zero_grad()
        (-objective).backward()
        sgd.step()

    return step


def _wake_sleep_step(work: Work, replica: int, _: Ingredients) -> Step:
    model, inference, _baselines = as_modules(work.net(), replica)
    sgd = optimiser(work, model, inference, [])

    def step(x: Tensor) -> None:
        with torch.no_grad():
            inputs, h = x - inference.centre, []
            for layer in _listed(inference.layers):
                inputs = draw(layer, layer(inputs))
                h.append(inputs)
            dream = [draw(model.prior, model.prior.bias.expand_as(inputs))]
            for layer in reversed(_listed(model.layers)):
                dream.insert(0, draw(layer, layer(dream[0])))
        objective = model.log_prob(x, h).sum() + inference.log_prob(dream[1:], dream[0]).sum()
        sgd.zero_grad()
        (-objective).backward()
        sgd.step()

    return step
