"""A belief net with an undirected top as a method of the loop: NVIL below, persistent chains above."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.evaluation.undirected_top import estimate_bound, top_log_partition
from nvil_repro.learning.markov_chains import fresh, walk
from nvil_repro.learning.nvil import ALPHA, SignalState, signal_state
from nvil_repro.learning.undirected_top import undirected_gradients
from nvil_repro.models.belief_net import sample_q
from nvil_repro.models.rbm import RBM
from nvil_repro.models.undirected_top import DeepBeliefNet, deep_belief_net, parameters
from nvil_repro.streams import uniforms
from nvil_repro.training import likelihood
from nvil_repro.training.advance import denormals_as_zero
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica, Splits
from nvil_repro.training.optimisers import MOMENTS, Optimiser, direction
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.settings import DTYPES, SettingsError
from nvil_repro.trees import clone, view

EXACT = 1 << 12  # states of the machine's smaller side up to which log Z is exact while training


@dataclass(frozen=True)
class UndirectedTopSettings(SeedSettings):
    """Training a belief net of one directed layer of `hidden` units below a machine of `top` more, a replica per seed;
    defaults are ours.

    `chains` persistent chains take `steps` Gibbs steps an update. Rates multiply sums over the minibatch and fall
    linearly, to zero at `updates`. log Z while training is exact where that is cheap, else annealed by
    `annealed_chains` chains over `rungs` rungs. Nothing but `checkpoint_seconds` is outside the hash.
    Errors: `SettingsError`.
    """

    hidden: int = 200
    top: int = 200
    updates: int = 60_000  # 100 passes over 60,000 cases
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=lambda: Optimiser("adam"))
    rate: float = 3e-3
    inference_rate: float = 3e-3
    baseline_rate: float = 3e-3
    alpha: float = ALPHA
    baseline_units: int = 100
    batch_size: int = 100
    chains: int = 100
    steps: int = 1
    eval_every: int = 1_000
    validation_samples: int = 10
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    annealed_chains: int = 50
    rungs: int = 300
    chunk: int = 1_000  # updates between estimates of the training objective
    dtype: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        sizes = ("hidden", "top", "baseline_units", "batch_size", "chains", "steps", "chunk")
        least = dict.fromkeys(sizes, 1) | {"validation_samples": 2, "annealed_chains": 2, "rungs": 2}
        rates = dict.fromkeys(("rate", "inference_rate", "baseline_rate", "alpha"), 0.0)
        likelihood.check_settings(self, least | rates)
        if self.alpha >= 1:
            raise SettingsError(f"alpha={self.alpha}: expected a number in [0, 1); the paper's is 0.8")
        if not isinstance(self.optimiser, Optimiser) or self.optimiser.centre:
            raise SettingsError(
                f'optimiser={self.optimiser!r}: expected an Optimiser without a centre; write Optimiser("adam")'
            )

    def rate_of(self, name: str, update: int) -> float:
        """The rate of a parameter, by its name's group, at `update`, from 0."""
        rates = {"model": self.rate, "inference": self.inference_rate, "baseline": self.baseline_rate}
        return rates[name.partition("/")[0]] * (1 - update / self.updates)


class UndirectedTopState(NamedTuple):
    """Everything an update changes."""

    net: DeepBeliefNet
    signals: SignalState  # [L, R]
    moments: tuple[tuple[Tensor, ...], ...]  # the optimiser's buffers, in the order of `parameters(net)`
    chains: Tensor  # [R, C, H_L]


def train(
    settings: UndirectedTopSettings,
    data: Splits,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[UndirectedTopState]:
    """Train a model per seed on `data.train`, tracking the bound on `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds
    and change no number.
    Errors: `ValueError` if the data is not bits; those of `loop.run`.
    """
    likelihood.check_data(data, settings.batch_size)
    method = UndirectedTop(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class UndirectedTop:
    """NVIL with a negative phase by persistent chains, a `method.Method`.

    Update t draws h from stream h1 at index t, and the chains' steps from stream top.
    """

    settings: UndirectedTopSettings
    train: Tensor  # uint8 [N, D]
    valid: Tensor  # uint8 [N', D]
    threads: int = 1
    metric: str = "bound"

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> UndirectedTopState:
        """Fresh nets, the visible biases and the centre from the training mean; chains of fair bits; c = v = 0."""
        s, dtype = self.settings, DTYPES[self.settings.dtype]
        mean = self.train.sum(0, dtype=torch.int64).double() / len(self.train)
        net = deep_belief_net(
            len(mean),
            (s.hidden,),
            s.top,
            s.seeds,
            train_mean=mean,
            baseline_units=s.baseline_units,
            dtype=dtype,
        )
        zeros = tuple(torch.zeros_like(p) for _, p in parameters(net))
        shape = (s.chains, s.hidden + s.top)
        chains = [
            fresh(RBM, view(net.top, r), uniforms(seed, "chains", 0, shape, dtype))
            for r, seed in enumerate(s.seeds)
        ]
        moments = tuple(clone(zeros) for _ in range(MOMENTS[s.optimiser.name]))
        return UndirectedTopState(net, signal_state(1, len(s.seeds), dtype), moments, torch.cat(chains))

    def advance(self, state: UndirectedTopState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the mean bound of each minibatch, with log Z as it is after the last:
        [count, R], in nats.
        """
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)
        alone = [_one(state, r) for r in range(len(self.replicas))]

        def run(r: int, begin: int, end: int) -> None:
            for t in range(begin, end):
                objective[t, r] = self._update(alone[r], self.settings.seeds[r], first_update + t)
            if end == count:
                bound = objective[:, r] - self._log_z(alone[r].net).log_z
                objective[:, r] = likelihood.until_diverged(objective[:, r].isfinite(), bound)

        with denormals_as_zero():
            run_interleaved(run, len(alone), count, 10, self.threads)
        return objective

    @torch.no_grad()
    def _update(self, kept: UndirectedTopState, seed: int, update: int) -> Tensor:
        """Move one model and all that is kept for it, in place; the mean bound plus log Z."""
        s, model, dtype = self.settings, kept.net, kept.chains.dtype
        x = self.train[minibatch_indices(len(self.train), s.batch_size, update, 1, seed)].to(dtype)
        h = sample_q(model.net, x, [uniforms(seed, "h1", update, (1, s.batch_size, s.hidden), dtype)])
        shape = (s.steps, s.chains, s.hidden + s.top)
        ends = walk(RBM, model.top, kept.chains, uniforms(seed, "top", update, shape, dtype))
        slopes, signals = undirected_gradients(model, x, h, ends, kept.signals, alpha=s.alpha)
        for part, moved in zip((kept.chains, *kept.signals), (ends, *signals.state), strict=True):
            part.copy_(moved)
        for i, ((name, parameter), (_, slope)) in enumerate(
            zip(parameters(model), parameters(slopes), strict=True)
        ):
            step = direction(slope, [moment[i] for moment in kept.moments], s.optimiser, update)
            parameter.add_(s.rate_of(name, update) * step)
        return signals.raw[0].mean()

    def evaluate(self, state: UndirectedTopState) -> Estimate:
        """The validation bound; its error is that of the samples and of log Z."""
        each = [self._bound(view(state.net, r), seed) for r, seed in enumerate(self.settings.seeds)]
        mean, stderr = (torch.cat(column) for column in zip(*each, strict=True))
        return Estimate(mean, stderr, len(self.valid))

    def _bound(self, net: DeepBeliefNet, seed: int) -> tuple[Tensor, Tensor]:
        log_z, samples = self._log_z(net), self.settings.validation_samples
        bound = estimate_bound(net, self.valid, log_z, samples=samples, seed=seed, name="valid").bound
        return bound.value, torch.hypot(bound.sampling_stderr, (log_z.log_z - log_z.lower) / 3)

    def _log_z(self, net: DeepBeliefNet) -> PartitionEstimate:
        """Of one model, by the same uniforms whenever it is asked; NaN of one that has diverged."""
        s = self.settings
        if not all(bool(part.isfinite().all()) for part in net.top):
            return PartitionEstimate("none", *torch.full((4, 1), torch.nan, dtype=torch.float64))
        ladder = uniform_ladder(s.rungs)
        return top_log_partition(net, self.train, ladder=ladder, chains=s.annealed_chains, limit=EXACT)


def _one(state: UndirectedTopState, r: int) -> UndirectedTopState:
    """Replica r alone, on the same memory."""
    signals = SignalState(*(part[:, r : r + 1] for part in state.signals))
    return view(state, r)._replace(signals=signals)
