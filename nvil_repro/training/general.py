"""The general road as a method of the loop: any model and inference network given as modules, by any estimator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim.adam import adam

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.general_bounds import bound_of, general_weights
from nvil_repro.files import settings_hash
from nvil_repro.learning.estimators import ESTIMATORS, Nets
from nvil_repro.learning.nvil import SignalState, signal_state
from nvil_repro.training import likelihood
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Schedule, Splits
from nvil_repro.training.settings import SettingsError


@dataclass(frozen=True)
class GeneralSettings:
    """Modules trained by Adam (Kingma & Ba 2015) on sums over minibatches, `estimators` x `seeds` as replicas.

    `recipe`, a frozen dataclass such as those in `recipes`, makes fresh modules of the training mean [D] and a seed.
    """

    recipe: Callable[[Tensor, int], Nets]
    updates: int
    estimators: tuple[str, ...] = ("full",)
    seeds: tuple[int, ...] = (0,)
    rate: float = 1e-3
    batch_size: int = 100
    eval_every: int = 1_000
    validation_samples: int = 10
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Errors: `SettingsError`."""
        likelihood.check_settings(self, {"batch_size": 1, "rate": 0.0, "validation_samples": 2})
        known = set(self.estimators) <= set(ESTIMATORS)
        if not known or not self.estimators or len(set(self.estimators)) < len(self.estimators):
            raise SettingsError(
                f"estimators={self.estimators!r}: expected any of {', '.join(ESTIMATORS)}, each once"
            )

    @property
    def chunk(self) -> int:
        """Updates in one call of `advance`; a position in the stream of noise is a chunk."""
        return math.gcd(self.eval_every, 50)

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Seed by seed; the variant is the estimator's name."""
        return tuple(Replica(name, seed) for seed in self.seeds for name in self.estimators)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.updates, self.eval_every, self.chunk, checkpoint_seconds=self.checkpoint_seconds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, only what can change a number."""
        settings = asdict(self) | {"kind": type(self.recipe).__name__}
        del settings["checkpoint_seconds"]
        return settings

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the run; see `files.settings_hash`."""
        return settings_hash(self.to_dict())


class GeneralState(NamedTuple):
    """Everything an update changes; R replicas."""

    net: tuple[Tensor, ...]  # [R, ...] each, numbers [R, 1], in the order of `Nets.named_parameters()`
    signals: SignalState  # [L, R]
    first: tuple[Tensor, ...]  # Adam's moments of each parameter
    second: tuple[Tensor, ...]


@dataclass(frozen=True)
class GeneralNets:
    """A `method.Method`. A seed's replicas read the same minibatches and the same noise, stream "noise" at index k
    for the updates of chunk k; none depends on which others ride along.
    """

    settings: GeneralSettings
    train: Tensor  # uint8 [N, D]
    valid: Tensor  # uint8 [N', D]
    metric: str = "bound"

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> GeneralState:
        """Fresh modules of every replica's seed, side by side; c = v = 0 and Adam's moments zero."""
        each = [list(self._fresh(replica.seed).parameters()) for replica in self.replicas]
        net = tuple(
            torch.stack([torch.atleast_1d(p) for p in parameters]).detach()
            for parameters in zip(*each, strict=True)
        )
        signals = signal_state(len(self._form.baselines), len(self.replicas), net[0].dtype)
        first, second = (tuple(torch.zeros_like(p) for p in net) for _ in range(2))
        return GeneralState(net, signals, first, second)

    def advance(self, state: GeneralState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the mean bound of each minibatch, [count, R], in nats."""
        s, inference, like = self.settings, self._form.inference, state.net[0]
        bounds, shape = torch.empty(count, len(self.replicas)), (count, s.batch_size, inference.units)
        for r, (_, seed) in enumerate(self.replicas):
            cases = minibatch_indices(len(self.train), s.batch_size, first_update, count, seed)
            noise = inference.noise(seed, "noise", first_update // s.chunk, shape, like.dtype)
            for t in range(count):
                x = self.train[cases[t]].to(like)
                bounds[t, r] = self._update(state, r, x, noise[t], first_update + t).mean()
        return bounds

    def _update(self, state: GeneralState, r: int, x: Tensor, noise: Tensor, update: int) -> Tensor:
        """One update of replica r on x [B, D], in place; the bound of every case, [B]."""
        named = dict(self._form.named_parameters())
        parameters = [  # on the state's own memory
            tensor[r].detach().view(like.shape).requires_grad_()
            for tensor, like in zip(state.net, named.values(), strict=True)
        ]
        column = SignalState(*(part[:, r] for part in state.signals))
        arguments = (self.replicas[r].variant, x, noise, column)
        outcome = functional_call(self._form, dict(zip(named, parameters, strict=True)), arguments)
        gradients = torch.autograd.grad(outcome.loss, parameters, materialize_grads=True)
        for running, value in zip(state.signals, outcome.state, strict=True):
            running[:, r] = value
        with torch.no_grad():
            adam(
                parameters,
                list(gradients),
                [moment[r].view_as(p) for moment, p in zip(state.first, parameters, strict=True)],
                [moment[r].view_as(p) for moment, p in zip(state.second, parameters, strict=True)],
                [],
                [torch.tensor(float(update)) for _ in parameters],
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.settings.rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
        return outcome.bound

    def evaluate(self, state: GeneralState) -> Estimate:
        """The validation bound."""
        samples = self.settings.validation_samples
        bounds = [
            bound_of(
                general_weights(self.modules(state.net, r), self.valid, samples, seed=seed, name="valid")
            )
            for r, (_, seed) in enumerate(self.replicas)
        ]
        values, errors = ([getattr(b, part) for b in bounds] for part in ("value", "sampling_stderr"))
        return Estimate(torch.cat(values), torch.cat(errors), len(self.valid))

    @torch.no_grad()
    def modules(self, net: tuple[Tensor, ...], r: int) -> Nets:
        """Replica r of a `GeneralState.net`, copied into modules."""
        nets = self._fresh(self.replicas[r].seed)
        for parameter, tensor in zip(nets.parameters(), net, strict=True):
            parameter.copy_(tensor[r].view_as(parameter))
        return nets

    def _fresh(self, seed: int) -> Nets:
        return self.settings.recipe(self._mean, seed)

    @cached_property
    def _mean(self) -> Tensor:
        return (self.train.sum(0, dtype=torch.int64).double() / len(self.train)).float()

    @cached_property
    def _form(self) -> Nets:
        """The modules whose parameters the state's tensors stand in for."""
        return self._fresh(self.replicas[0].seed)


def train(
    settings: GeneralSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[GeneralState]:
    """Train `settings.replicas` on `data.train`, tracking the bound on `data.valid`; a `together.Job` can do it.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `threads`
    changes nothing: there is one.
    Errors: `ValueError` if the data is not bits or fewer cases than a minibatch; those of `loop.run`.
    """
    likelihood.check_data(data, settings.batch_size)
    method = GeneralNets(settings, data.train, data.valid)
    return likelihood.run(method, settings, data, folder, title, progress)
