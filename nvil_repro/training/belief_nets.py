"""Belief nets as a method of the loop: where minibatches, uniforms, rates and the validation bound come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.learning.nvil import signal_state, stack_ingredients
from nvil_repro.models.belief_net import belief_net
from nvil_repro.streams import uniforms
from nvil_repro.training import likelihood
from nvil_repro.training.advance import Plan, TrainState, advance
from nvil_repro.training.ahead import Ahead
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Splits
from nvil_repro.training.optimisers import Rates, moments
from nvil_repro.training.settings import TrainSettings
from nvil_repro.trees import clone, replica


def train(
    settings: TrainSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[TrainState]:
    """Train `settings.replicas` on `data.train`, tracking the bound on `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, changes the
    compiled engine's speed and no number.
    Errors: `ValueError` if the data is not bits of matching shape, or for a GPU that is not there; those of `loop.run`.
    """
    likelihood.check_data(data, settings.batch_size)
    if settings.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"device={settings.device!r}: torch finds none on this machine; set device='cpu'")
    method = BeliefNets(
        settings, data.train.to(settings.device), data.valid, threads or torch.get_num_threads()
    )
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class BeliefNets:
    """NVIL or wake-sleep on belief networks, a `method.Method`.

    A seed's variants read the same minibatches and uniforms; stream h{i} at index k holds layer i's for the
    updates of chunk k, and dream{i} those of wake-sleep's dreams, from the pixels i = 0 on.
    """

    settings: TrainSettings
    train: Tensor  # uint8 [N, D], on the device
    valid: Tensor  # uint8 [N', D]
    threads: int = 1
    metric: str = "bound"

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> TrainState:
        """Fresh nets, the visible biases and the centre from the training mean; c = v = 0."""
        s = self.settings
        mean = self.train.sum(0, dtype=torch.int64).cpu().double() / len(self.train)
        seeds = [each.seed for each in self.replicas]
        net = belief_net(
            self.train.shape[1],
            s.layers,
            seeds,
            train_mean=mean,
            architecture=s.architecture,
            baseline_units=s.baseline_units,
            dtype=s.torch_dtype,
        )
        state = TrainState(
            net, signal_state(len(s.layers), len(seeds), s.torch_dtype), moments(net, s.optimiser)
        )
        return clone(state, s.device)

    def advance(self, state: TrainState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the mean bound of each minibatch, [count, R], in nats."""
        s = self.settings
        cases, draws = self.inputs(first_update, count)
        if s.device != "cpu":  # which works while the next are drawn
            self.inputs.draw(first_update + count, min(count, s.updates - first_update - count))
        return advance(
            state,
            self.plan(first_update),
            self.train[cases.to(s.device)],
            [draw.to(s.device) for draw in draws],
            first_update,
            engine=s.resolved_engine,
            threads=self.threads,
        )

    @cached_property
    def inputs(self) -> Ahead[tuple[Tensor, list[Tensor]]]:
        """Which cases are in each minibatch of a chunk, int64 [G, T, B], and its uniforms, see `training.advance`."""
        return Ahead(partial(_inputs, self.settings, len(self.train), self.train.shape[1]))

    def plan(self, update: int) -> Plan:
        """Switches, rates and streams of every replica at `update`."""
        return plan_at(self.settings, update)

    def evaluate(self, state: TrainState) -> Estimate:
        """The validation bound, one replica at a time so that no number depends on which ride along."""
        samples = self.settings.validation_samples
        bounds = [
            estimate_bound(replica(state.net, r), self.valid, samples=samples, seed=each.seed, name="valid")
            for r, each in enumerate(self.replicas)
        ]
        values, errors = ([getattr(b, part) for b in bounds] for part in ("value", "sampling_stderr"))
        return Estimate(torch.cat(values), torch.cat(errors), len(self.valid))


def _inputs(
    s: TrainSettings, cases: int, visible: int, first_update: int, count: int
) -> tuple[Tensor, list[Tensor]]:
    indices = [minibatch_indices(cases, s.batch_size, first_update, count, seed) for seed in s.seeds]
    streams = [(f"h{i}", size) for i, size in enumerate(s.layers, start=1)]
    if s.method == "wake-sleep":
        streams += [(f"dream{i}", size) for i, size in enumerate((visible, *s.layers))]
    chunk, shape = first_update // s.chunk, (count, s.batch_size)
    draws = [
        torch.stack([uniforms(seed, name, chunk, (*shape, size), s.torch_dtype) for seed in s.seeds])
        for name, size in streams
    ]
    return torch.stack(indices), draws


def plan_at(s: TrainSettings, update: int) -> Plan:
    """Switches, rates and streams of every replica at `update`."""
    left, falling = s.updates - update, s.updates - (s.decay_from or 0)
    factor = 1.0 if s.decay_from is None else min(1.0, left / falling)
    scale = torch.tensor(
        [s.rate_scale.get(each.variant, 1.0) * factor for each in s.replicas], dtype=torch.float64
    )
    rates = Rates(*((rate * scale).to(s.torch_dtype) for rate in (s.rate, s.inference_rate, s.baseline_rate)))
    ingredients = stack_ingredients([each.variant or "none" for each in s.replicas])
    group = torch.tensor([s.seeds.index(each.seed) for each in s.replicas])
    return clone(Plan(ingredients, rates, s.optimiser, group, s.alpha, s.method), s.device)
