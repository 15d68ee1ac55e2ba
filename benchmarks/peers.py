"""The same update as others would write it: eager autograd, our general road, our closed form in torch.

Each takes its minibatches ready-made and may use one thread or all cores, whichever is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from benchmarks.timing import Way, cores
from benchmarks.work import Work
from nvil_repro.learning.general import nvil_loss
from nvil_repro.learning.nvil import Ingredients, signal_state
from nvil_repro.models.modules import InputBaseline, MirroredInference, SigmoidBeliefNet, as_modules
from nvil_repro.streams import uniforms
from nvil_repro.training.advance import advance_batched
from nvil_repro.training.belief_nets import BeliefNets

Step = Callable[[Tensor], object]
MINIBATCHES = 20


def autograd(work: Work) -> list[Way]:
    """Plain eager PyTorch written for this model: samples and log-probabilities share one forward pass."""
    return in_turn(work, [_autograd_step(work, r, switches) for r, switches in enumerate(work.ingredients)])


def general(work: Work) -> list[Way]:
    """`nvil_loss` on two modules, which knows nothing of the model."""
    return in_turn(work, [_general_step(work, r, switches) for r, switches in enumerate(work.ingredients)])


def closed_form(work: Work) -> list[Way]:
    """Gradients in closed form by torch, all replicas in batched products."""
    method = BeliefNets(work.settings, work.data.train, work.data.valid)
    state, plan = method.start(), method.plan(0)
    seeds = len(work.seeds)
    x = work.minibatches(1).to(torch.uint8).expand(seeds, -1, -1, -1)

    def run() -> None:
        draws = [
            uniforms(0, "benchmark", i, (seeds, 1, work.batch, size)) for i, size in enumerate(work.layers)
        ]
        advance_batched(state, plan, x, draws, 0)

    return [Way(run, work.replicas, threads) for threads in {1, cores()}]


def in_turn(work: Work, steps: Sequence[Step]) -> list[Way]:
    """One update of each model after the other, on one thread or all cores."""
    minibatches = cycle(work.minibatches(MINIBATCHES))

    def run() -> None:
        x = next(minibatches)
        for step in steps:
            step(x)

    return [Way(run, len(steps), threads) for threads in {1, cores()}]


def optimiser(
    work: Work, model: SigmoidBeliefNet, inference: MirroredInference, baselines: Sequence[InputBaseline]
) -> torch.optim.SGD:
    s = work.settings
    psi = [p for baseline in baselines for p in baseline.parameters()]
    groups = [
        (model.parameters(), s.rate),
        (inference.parameters(), s.inference_rate),
        (psi, s.baseline_rate),
    ]
    return torch.optim.SGD([{"params": list(group), "lr": rate} for group, rate in groups])


def _general_step(work: Work, replica: int, ingredients: Ingredients) -> Step:
    model, inference, baselines = as_modules(work.net(), replica)
    sgd, state = optimiser(work, model, inference, baselines), signal_state(len(work.layers))
    chosen = baselines if ingredients.input_baseline else None

    def step(x: Tensor) -> None:
        nonlocal state
        loss, signals = nvil_loss(
            model, inference, x, inference.sample(x), state, baselines=chosen, ingredients=ingredients
        )
        state = signals.state
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


def _autograd_step(work: Work, replica: int, ingredients: Ingredients) -> Step:
    model, inference, baselines = as_modules(work.net(), replica)
    sgd, alpha, layers = optimiser(work, model, inference, baselines), work.settings.alpha, len(work.layers)
    mean, variance = torch.zeros(layers, 1), torch.zeros(layers, 1)

    def log_prob(logits: Tensor, bits: Tensor) -> Tensor:
        return -cross_entropy(logits, bits, reduction="none").sum(-1)

    def step(x: Tensor) -> None:
        inputs, h, q, values = x - inference.centre, [], [], []
        for i in range(layers):
            logits = inference.layers[i](inputs)
            if ingredients.input_baseline:
                values.append(baselines[i].network(inputs).squeeze(-1))
            inputs = torch.bernoulli(torch.sigmoid(logits.detach()))
            h.append(inputs)
            q.append(log_prob(logits, inputs))
        bits = [x, *h]
        p = [
            log_prob(layer(above), below) for layer, above, below in zip(model.layers, h, bits, strict=False)
        ]
        p.append(log_prob(model.prior.bias.expand_as(h[-1]), h[-1]))
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
