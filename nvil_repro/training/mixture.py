"""Mixtures of Bernoullis as a method of the loop: an update is a pass of EM over all training cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.learning.em import expectation, maximisation
from nvil_repro.models.mixture import Mixture, log_prob, mixture
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Splits
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.settings import DTYPES
from nvil_repro.trees import view


@dataclass(frozen=True)
class MixtureSettings(SeedSettings):
    """Training a mixture, a replica per seed; defaults are ours, chosen on validation.

    Nothing but `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    components: int = 500
    updates: int = 50  # passes over the training cases
    seeds: tuple[int, ...] = (0,)
    smoothing: float = 0.1  # see `learning.em`
    eval_every: int = 1
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    dtype: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        likelihood.check_settings(self, {"components": 1, "smoothing": 1e-6})


class MixtureState(NamedTuple):
    """Everything a pass changes."""

    net: Mixture


def train(
    settings: MixtureSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[MixtureState]:
    """Train a mixture per seed on `data.train`, tracking the log-likelihood of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds
    and change no number.
    Errors: `ValueError` if the data is not bits or has fewer cases than components; those of `loop.run`.
    """
    likelihood.check_data(data, settings.components)
    method = MixtureMethod(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class MixtureMethod:
    """EM, a `method.Method`."""

    settings: MixtureSettings
    train: Tensor  # uint8 [N, D]
    valid: Tensor  # uint8 [N', D]
    threads: int = 1
    metric: str = likelihood.METRIC

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> MixtureState:
        """Components around training cases."""
        s = self.settings
        return MixtureState(mixture(s.components, s.seeds, self.train, dtype=DTYPES[s.dtype]))

    def advance(self, state: MixtureState, first_update: int, count: int) -> Tensor:
        """Run `count` passes in place; the log-likelihood of the training cases before each, [count, R], in nats."""
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)

        def run(r: int, begin: int, end: int) -> None:
            net = view(state.net, r)
            for t in range(begin, end):
                statistics = expectation(net, self.train)
                stepped = maximisation(statistics, self.settings.smoothing, net.logits.dtype)
                for old, new in zip(net, stepped, strict=True):
                    old.copy_(new)
                objective[t, r] = statistics.log_likelihood[0]

        run_interleaved(run, len(self.replicas), count, 1, self.threads)
        return objective

    def evaluate(self, state: MixtureState) -> Estimate:
        """The log-likelihood of the validation cases."""
        return likelihood.estimate(log_prob, state.net, len(self.replicas), self.valid)
