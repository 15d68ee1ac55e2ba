"""Document nets as a method of the loop: belief nets with a visible layer of words, on sparse counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.document_bounds import document_bounds
from nvil_repro.learning.nvil import signal_state
from nvil_repro.models.document_net import document_net
from nvil_repro.streams import uniforms
from nvil_repro.training import likelihood
from nvil_repro.training.advance import TrainState
from nvil_repro.training.advance_documents import advance_documents
from nvil_repro.training.belief_nets import plan_at
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica
from nvil_repro.training.optimisers import moments
from nvil_repro.training.settings import SettingsError, TrainSettings
from nvil_repro.trees import replica


@dataclass(frozen=True)
class DocumentSettings(TrainSettings):
    """`TrainSettings` of document nets; layers, minibatch and rates of P and Q are the paper's for 20 Newsgroups.

    At each update the weights of the model also shrink by `weight_decay` times its rate, see
    `weight_decay.decay_weights`. Errors: `SettingsError`, too for what documents do not have: wake-sleep,
    visibles that condition on one another, other devices than the CPU.
    """

    layers: tuple[int, ...] = (50,)
    updates: int = 100_000
    rate: float = 3e-5
    inference_rate: float = 6e-6
    baseline_rate: float = 6e-6
    eval_every: int = 1_000
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        likelihood.check_settings(self, {"weight_decay": 0.0})
        for name, found, wanted in (
            ("method", self.method, "nvil"),
            ("architecture.visible", self.architecture.visible, False),
            ("device", self.device, "cpu"),
        ):
            if found != wanted:
                raise SettingsError(f"{name}={found!r}: document nets have {wanted!r} alone")
        largest = self.rate * max([1.0, *self.rate_scale.values()])
        if self.weight_decay * largest > 1:
            raise SettingsError(
                f"weight_decay={self.weight_decay}: expected at most 1 / rate, here {1 / largest:g}, "
                "which leaves nothing of a weight"
            )


def train(
    settings: DocumentSettings,
    data: Corpus,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[TrainState]:
    """Train `settings.replicas` on `data.train`, tracking the bound per word of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the replicas
    and change no number.
    Errors: `ValueError` if the corpus has an empty document or does not fit together; those of `loop.run`.
    """
    likelihood.check_corpus(data, settings.batch_size)
    method = DocumentNets(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class DocumentNets:
    """NVIL on document nets, a `method.Method`; minibatches and uniforms as in `belief_nets.BeliefNets`.

    The metric is the mean over documents of the bound on log P(x) / length, minus the log of the perplexity per
    document; so the best parameters are those of the lowest validation perplexity.
    """

    settings: DocumentSettings
    train: Counts
    valid: Counts
    threads: int = 1
    metric: str = "bound_per_word"

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> TrainState:
        """Fresh nets, the visible biases and the centre from the training counts; c = v = 0."""
        s = self.settings
        seeds = [each.seed for each in self.replicas]
        net = document_net(
            self.train,
            s.layers,
            seeds,
            architecture=s.architecture,
            baseline_units=s.baseline_units,
            dtype=s.torch_dtype,
        )
        signals = signal_state(len(s.layers), len(seeds), s.torch_dtype)
        return TrainState(net, signals, moments(net, s.optimiser))

    def advance(self, state: TrainState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the mean bound per word of each minibatch, [count, R], in nats."""
        s, n = self.settings, self.train.documents
        cases = [minibatch_indices(n, s.batch_size, first_update, count, seed) for seed in s.seeds]
        shape, chunk = (count, s.batch_size), first_update // s.chunk
        draws = [
            torch.stack([uniforms(seed, f"h{i}", chunk, (*shape, size), s.torch_dtype) for seed in s.seeds])
            for i, size in enumerate(s.layers, start=1)
        ]
        return advance_documents(
            state,
            plan_at(s, first_update),
            self.train,
            torch.stack(cases),
            draws,
            first_update,
            weight_decay=s.weight_decay,
            engine=s.resolved_engine,
            threads=self.threads,
        )

    def evaluate(self, state: TrainState) -> Estimate:
        """The validation bound per word, one replica at a time so that no number depends on which ride along."""
        samples, found = self.settings.validation_samples, []
        for r, each in enumerate(self.replicas):
            bounds = document_bounds(replica(state.net, r), self.valid, samples, seed=each.seed, name="valid")
            found.append(bounds.per_word())
        values, errors = (torch.cat(part) for part in zip(*found, strict=True))
        return Estimate(values, errors, self.valid.documents)
