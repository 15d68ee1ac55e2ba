"""Models known up to Z as a method of the loop, by any criterion of chapter 18 of Deep Learning and of any family.

train(UnnormalisedSettings(hidden=500, criterion="pcd"), mnist, "runs/pcd")
train(UnnormalisedSettings(family="mine", criterion="cd"), data, own=Start(mine, theta))   # an energy of your own
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.exact_partition import exact_gradient
from nvil_repro.learning.centring import Offsets
from nvil_repro.learning.criteria import CRITERIA
from nvil_repro.models.unnormalised import Family, like
from nvil_repro.training import likelihood
from nvil_repro.training.advance import denormals_as_zero
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Splits
from nvil_repro.training.optimisers import MOMENTS, direction
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.unnormalised_chains import chain, first_chains
from nvil_repro.training.unnormalised_criteria import drawn_gradient
from nvil_repro.training.unnormalised_likelihood import LogZ, has_log_z, log_likelihood, log_partition
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import Start, checked_start, mean_of
from nvil_repro.training.unnormalised_update import ascend, update_by_chains
from nvil_repro.trees import clone, leaves, view

SLICE = 50  # updates handed to compiled code at once


class UnnormalisedState(NamedTuple):
    """Everything an update changes; what a criterion has not is empty."""

    net: Any
    moments: tuple[Any, ...]  # the optimiser's buffers
    chains: Tensor  # [R, C, D], with temperatures [R, M, C, D], the model's own last
    fast: tuple[Any, ...]  # fast weights
    offsets: tuple[Offsets, ...]
    log_z: tuple[
        Tensor, ...
    ]  # as noise-contrastive estimation learns it and the optimiser's buffers for it, [R, 1]


def train(
    settings: UnnormalisedSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    own: Start | None = None,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[UnnormalisedState]:
    """Train a model per seed on `data.train`, tracking the log-likelihood of `data.valid`.

    Cases are bits, uint8 [N, D], or for a family of reals floats. `own` is a family of yours with its parameters at the
    start; `settings.family` names it, and those parameters, outside the settings' hash, name the run too; what the
    family's functions do is in neither. Where log Z can be neither enumerated nor annealed, the criterion itself is
    tracked.
    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress` is bar,
    lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds and change no
    number.
    Errors: those of `checked_start`, `log_partition` and `loop.run`.
    """
    family, theta = checked_start(settings, data, own)
    method = UnnormalisedMethod(
        settings, family, theta, data.train, data.valid, threads or torch.get_num_threads()
    )
    began = {"start": likelihood.sha256(part.numpy() for _, part in leaves(theta))} if own else {}
    return likelihood.run(method, settings, data, folder, title, progress, began)


@dataclass(frozen=True)
class UnnormalisedMethod:
    """Learning by `settings.criterion`, a `method.Method`."""

    settings: UnnormalisedSettings
    family: Family
    theta: Any  # at the start
    train: Tensor  # [N, D]
    valid: Tensor  # [N', D]
    threads: int = 1
    known: dict[int, tuple[Any, LogZ]] = field(default_factory=dict, repr=False, compare=False)  # by replica

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    @property
    def metric(self) -> str:
        """The log-likelihood, or the criterion where nothing tells log Z."""
        known = has_log_z(self.family, self.theta, self.settings.exact_units)
        return likelihood.METRIC if known else self.settings.criterion

    def start(self) -> UnnormalisedState:
        """Nothing learned yet; persistent chains are samples of the base near the training mean."""
        s, net = self.settings, clone(self.theta)
        zeros = [
            like(net, [torch.zeros_like(part) for part in net]) for _ in range(MOMENTS[s.optimiser.name])
        ]
        fast = (like(net, [torch.zeros_like(part) for part in net]),) if s.criterion == "fpcd" else ()
        offsets: tuple[Offsets, ...] = ()
        if s.centred:
            visible = self._mean.to(net.visible_bias).repeat(len(s.seeds), 1)
            offsets = (Offsets(visible, torch.sigmoid(net.hidden_bias)),)
        return UnnormalisedState(
            net,
            tuple(zeros),
            first_chains(s, self.family, net, self._mean),
            fast,
            offsets,
            self._first_log_z(net),
        )

    def _first_log_z(self, net: Any) -> tuple[Tensor, ...]:
        """That of the base, and zero moments."""
        if self.settings.criterion != "noise_contrastive":
            return ()
        log_z = net[0].new_zeros(len(net[0]), 1)
        if self.family.base is not None:
            log_z += self.family.base(net, self._mean).log_z[:, None]
        return log_z, *(torch.zeros_like(log_z) for _ in range(MOMENTS[self.settings.optimiser.name]))

    def advance(self, state: UnnormalisedState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; after them, for each of them, the metric on the last one's minibatch,
        [count, R]: NaN from where a model has diverged.
        """
        s, replicas = self.settings, len(self.replicas)
        with denormals_as_zero():
            if s.resolved_engine == "kernel":
                gaps = self._advance_compiled(state, first_update, count)
            else:
                gaps = torch.empty(count, replicas, dtype=torch.float64)

                def run(r: int, begin: int, end: int) -> None:
                    for t in range(begin, end):
                        gaps[t, r] = self._update(view(state, r), s.seeds[r], first_update + t)

                run_interleaved(run, replicas, count, 10, self.threads)
        last = [self._minibatch(first_update + count - 1, seed) for seed in s.seeds]
        reached = torch.cat([self._estimate(state, r, x).mean for r, x in enumerate(last)])
        return likelihood.until_diverged(gaps.isfinite(), reached.expand_as(gaps))

    def evaluate(self, state: UnnormalisedState) -> Estimate:
        """The metric on the validation cases; the standard error of a log-likelihood is log Z's."""
        each = [self._estimate(state, r, self.valid) for r in range(len(self.replicas))]
        mean, stderr = (torch.cat(column) for column in zip(*(e[:2] for e in each), strict=True))
        return Estimate(mean, stderr, len(self.valid))

    @cached_property
    def _mean(self) -> Tensor:
        return mean_of(self.train)

    def _minibatch(self, update: int, seed: int) -> Tensor:
        return self.train[minibatch_indices(len(self.train), self.settings.batch_size, update, 1, seed)[0]]

    def _update(self, kept: UnnormalisedState, seed: int, update: int) -> Tensor | float:
        """Move one model and all that is kept for it, in place; a number that is NaN once the model has diverged."""
        s, theta = self.settings, kept.net
        if not all(bool(part.isfinite().all()) for part in theta):
            return math.nan
        x = self._minibatch(update, seed)[None].to(theta[0].dtype)
        fast = kept.fast[0] if kept.fast else None
        offsets = kept.offsets[0] if kept.offsets else None
        now = (s.plan, s.rate_at(update), update)
        if s.criterion == "exact":
            slopes = exact_gradient(self.family, theta, x[0])
            ascend(theta, kept.moments, slopes, fast, offsets, x, *now)
            return 0.0
        if s.criterion in CRITERIA:
            return self._sidestep(kept, x, seed, update)
        move = chain(s, self.family, theta, self._mean, seed, update)
        return update_by_chains(self.family, theta, kept.moments, kept.chains, fast, offsets, x, move, *now)

    def _sidestep(self, kept: UnnormalisedState, x: Tensor, seed: int, update: int) -> Tensor:
        """An update by a criterion without a negative phase; the criterion's value."""
        s, theta, given, rate = self.settings, kept.net, {}, self.settings.rate_at(update)
        if s.criterion == "self_contrastive":
            move = chain(s, self.family, theta, self._mean, seed, update)
            kept.chains.copy_(move(theta, kept.chains))
            given["samples"] = kept.chains[:, -1] if kept.chains.ndim == 4 else kept.chains
        if kept.log_z:
            given["log_z"] = kept.log_z[0]
        found = drawn_gradient(s, self.family, theta, x, self._mean, seed, "criterion", update, **given)
        offsets = kept.offsets[0] if kept.offsets else None
        ascend(theta, kept.moments, found.theta, None, offsets, x, s.plan, rate, update)
        if kept.log_z:
            log_z, *buffers = kept.log_z
            log_z.add_(rate * direction(found.log_z, buffers, s.optimiser, update))
        return found.objective

    def _advance_compiled(self, state: UnnormalisedState, first_update: int, count: int) -> Tensor:
        """The same by compiled code, for a Bernoulli RBM: the free-energy gap at each update, [count, R]."""
        from nvil_repro.kernels.rbm import advance_compiled

        s, told = self.settings, []
        fast = state.fast[0] if state.fast else None
        offsets = state.offsets[0] if state.offsets else None
        for begin in range(first_update, first_update + count, SLICE):
            updates = range(begin, min(begin + SLICE, first_update + count))
            cases = [
                minibatch_indices(len(self.train), s.batch_size, begin, len(updates), seed)
                for seed in s.seeds
            ]
            told.append(
                advance_compiled(
                    state.net,
                    state.moments,
                    state.chains,
                    fast,
                    offsets,
                    torch.stack([self.train[each] for each in cases]),
                    [s.steps_at(update) for update in updates],
                    torch.tensor([s.rate_at(update) for update in updates], dtype=torch.float64),
                    s.plan,
                    s.seeds,
                    begin,
                    self.threads,
                )
            )
        return torch.cat(told).double()

    def _estimate(self, state: UnnormalisedState, r: int, x: Tensor) -> Estimate:
        """The metric on cases [N, D] of one replica, alone and so alike in any company."""
        theta, s = view(state.net, r), self.settings
        if self.metric != likelihood.METRIC:
            given = {"log_z": state.log_z[0][r : r + 1]} if state.log_z else {}
            cases = x[None].to(theta[0].dtype)
            found = drawn_gradient(s, self.family, theta, cases, self._mean, 0, "valid/criterion", 0, **given)
            return Estimate(found.objective.double(), torch.zeros(1, dtype=torch.float64), len(x))
        seen = self.known.get(r)
        if seen is None or not all(map(torch.equal, seen[0], theta)):  # log Z serves until the model moves
            seen = clone(theta), log_partition(self.family, theta, self._mean, s)
            self.known[r] = seen
        return log_likelihood(self.family, theta, x, seen[1])
