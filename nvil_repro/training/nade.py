"""NADE as a method of the loop: its settings, minibatches and rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.models.nade import Nade, log_prob, nade
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Splits
from nvil_repro.training.optimisers import MOMENTS, Optimiser
from nvil_repro.training.settings import DTYPES, SettingsError


@dataclass(frozen=True)
class NadeSettings(SeedSettings):
    """Training NADE, a replica per seed; defaults are ours, chosen on validation.

    `rate` multiplies sums over the minibatch and falls linearly, to zero at `updates`. Nothing but
    `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    hidden: int = 500
    updates: int = 12_000  # 20 passes over 60,000 cases
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=lambda: Optimiser("adam"))
    rate: float = 1e-2
    batch_size: int = 100
    eval_every: int = 600
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    chunk: int = 50  # updates in one call of the engine
    dtype: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        likelihood.check_settings(self, {"hidden": 1, "batch_size": 1, "chunk": 1, "rate": 0.0})
        if not isinstance(self.optimiser, Optimiser) or self.optimiser.centre:
            raise SettingsError(
                f'optimiser={self.optimiser!r}: expected an Optimiser without a centre; write Optimiser("adam")'
            )


class NadeState(NamedTuple):
    """Everything an update changes."""

    net: Nade
    moments: tuple[Nade, ...]  # the optimiser's buffers


def train(
    settings: NadeSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[NadeState]:
    """Train a model per seed on `data.train`, tracking the log-likelihood of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds
    and change no number.
    Errors: `ValueError` if the data is not bits; `ImportError` without numba; those of `loop.run`.
    """
    likelihood.check_data(data, settings.batch_size)
    if find_spec("numba") is None:
        raise ImportError("NADE is trained by compiled code alone: pip install numba")
    method = NadeMethod(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class NadeMethod:
    """NADE by the gradient of its likelihood, a `method.Method`."""

    settings: NadeSettings
    train: Tensor  # uint8 [N, D]
    valid: Tensor  # uint8 [N', D]
    threads: int = 1
    metric: str = likelihood.METRIC

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> NadeState:
        """Fresh models, the visible biases from the training mean."""
        s = self.settings
        mean = self.train.sum(0, dtype=torch.int64).double() / len(self.train)
        net = nade(s.hidden, s.seeds, train_mean=mean, dtype=DTYPES[s.dtype])
        zeros = (Nade(*map(torch.zeros_like, net)) for _ in range(MOMENTS[s.optimiser.name]))
        return NadeState(net, tuple(zeros))

    def advance(self, state: NadeState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the mean log-likelihood of each minibatch, [count, R], in nats."""
        from nvil_repro.kernels.nade import advance_compiled

        s = self.settings
        indices = [
            minibatch_indices(len(self.train), s.batch_size, first_update, count, seed) for seed in s.seeds
        ]
        left = s.updates - torch.arange(first_update, first_update + count, dtype=torch.float64)
        return advance_compiled(
            state.net,
            state.moments,
            [self.train[each] for each in indices],
            s.rate * left / s.updates,
            s.optimiser,
            first_update,
            self.threads,
        )

    def evaluate(self, state: NadeState) -> Estimate:
        """The log-likelihood of the validation cases."""
        return likelihood.estimate(log_prob, state.net, len(self.replicas), self.valid)
