"""The same update on our other roads: the general one, and the closed form in torch.

Each takes its minibatches ready-made and may use one thread or all cores, whichever is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor

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


def general(work: Work) -> list[Way]:
    """`nvil_loss` on two modules, which knows nothing of the model."""
    return in_turn(work, [_general_step(work, r, switches) for r, switches in enumerate(work.ingredients)])


def closed_form(work: Work) -> list[Way]:
    """Gradients in closed form by torch, all replicas in batched products.

    Autoregressive layers are drawn as in evaluation, compiled where numba is installed.
    """
    method = BeliefNets(work.settings, work.data.train, work.data.valid)
    state, plan = method.start(), method.plan(0)
    seeds = len(work.seeds)
    x = work.minibatches(1).to(torch.uint8).expand(seeds, -1, -1, -1)
    dreams = work.sizes if work.method == "wake-sleep" else ()
    sizes = (*work.layers, *dreams)

    def run() -> None:
        draws = [uniforms(0, "benchmark", i, (seeds, 1, work.batch, size)) for i, size in enumerate(sizes)]
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
