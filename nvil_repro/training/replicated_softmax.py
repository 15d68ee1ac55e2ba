"""The replicated softmax as a method of the loop: contrastive divergence, its steps and rates along training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.replicated_softmax import log_partition, log_prob
from nvil_repro.learning.contrastive_divergence import contrastive_divergence, steps_at
from nvil_repro.learning.replicated_softmax import gradient, reconstruct
from nvil_repro.models.replicated_softmax import Documents, ReplicatedSoftmax, documents, replicated_softmax
from nvil_repro.models.unigram import unigram
from nvil_repro.streams import uniforms
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica
from nvil_repro.training.optimisers import MOMENTS, Optimiser, direction
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.settings import DTYPES, SettingsError
from nvil_repro.trees import view


@dataclass(frozen=True)
class ReplicatedSoftmaxSettings(SeedSettings):
    """Training the replicated softmax, a replica per seed; defaults are ours, the best of a few tried on
    validation documents of 20 Newsgroups.

    The gradient is that of the sum over the minibatch of log p / length, what `perplexity_per_document` is made of: as
    hidden biases are scaled by the length, those of log p itself would grow with it. `rate` multiplies it and falls
    linearly, to zero at `updates`, while the steps of CD grow from 1 to `steps`. `weight_decay` shrinks W by rate x
    weight_decay an update. log Z of the validation documents is annealed by `chains` chains over `rungs` rungs, of
    the minibatches that training is watched by over a tenth of them. Too few flatter a model by chance, and of many
    evaluations the one that is flattered most would pass for the best.
    Nothing but `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    hidden: int = 50
    updates: int = 9_000  # 80 passes over 11,191 documents
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=lambda: Optimiser("adam"))
    rate: float = 5e-3
    weight_decay: float = 0.1
    steps: int = 5
    batch_size: int = 100
    eval_every: int = 500
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    chains: int = 100
    rungs: int = 1_000
    chunk: int = 500  # updates between estimates of the training objective
    dtype: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        least = {"hidden": 1, "steps": 1, "batch_size": 1, "chains": 2, "rungs": 2, "chunk": 1}
        likelihood.check_settings(self, least | {"rate": 0.0, "weight_decay": 0.0})
        if not isinstance(self.optimiser, Optimiser) or self.optimiser.centre:
            raise SettingsError(
                f'optimiser={self.optimiser!r}: expected an Optimiser without a centre; write Optimiser("adam")'
            )


class ReplicatedSoftmaxState(NamedTuple):
    """Everything an update changes."""

    net: ReplicatedSoftmax
    moments: tuple[ReplicatedSoftmax, ...]  # the optimiser's buffers


def train(
    settings: ReplicatedSoftmaxSettings,
    data: Corpus,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[ReplicatedSoftmaxState]:
    """Train a model per seed on `data.train`, tracking the log-likelihood per word of `data.valid` by annealing.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds
    and change no number.
    Errors: `ValueError` if a document is empty or there are fewer than a minibatch; those of `loop.run`.
    """
    likelihood.check_corpus(data, settings.batch_size)
    method = ReplicatedSoftmaxMethod(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class ReplicatedSoftmaxMethod:
    """CD-k with k growing, a `method.Method`."""

    settings: ReplicatedSoftmaxSettings
    train: Counts
    valid: Counts
    threads: int = 1
    metric: str = likelihood.PER_WORD

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> ReplicatedSoftmaxState:
        """Fresh models, nearly the unigram model of the training documents."""
        s = self.settings
        net = replicated_softmax(s.hidden, s.seeds, words=unigram(self.train), dtype=DTYPES[s.dtype])
        zeros = (ReplicatedSoftmax(*map(torch.zeros_like, net)) for _ in range(MOMENTS[s.optimiser.name]))
        return ReplicatedSoftmaxState(net, tuple(zeros))

    def advance(self, state: ReplicatedSoftmaxState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; after them, for each of them, the log-likelihood per word of the last one's
        minibatch, by annealing: [count, R], in nats. So a model that diverges is said to do so at the first update of
        its chunk.
        """
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)

        def run(r: int, begin: int, end: int) -> None:
            kept, seed = view((state.net, *state.moments), r), self.settings.seeds[r]
            for t in range(begin, end):
                cases = self._minibatch(first_update + t, seed)
                self._update(kept, documents(cases, kept[0].bias.dtype), seed, first_update + t)
            if end == count:
                objective[:, r] = self._per_word(kept[0], cases, max(2, self.settings.rungs // 10)).mean

        run_interleaved(run, len(self.replicas), count, 10, self.threads)
        return objective

    def _minibatch(self, update: int, seed: int) -> Counts:
        n, batch = self.train.documents, self.settings.batch_size
        return self.train.take(minibatch_indices(n, batch, update, 1, seed)[0].numpy())

    @torch.no_grad()
    def _update(self, kept: tuple[ReplicatedSoftmax, ...], x: Documents, seed: int, update: int) -> None:
        """Move one model, kept[0], and its moments in place."""
        s, (net, *moments) = self.settings, kept
        steps, shares = steps_at(update, s.updates, s.steps), 1 / x.lengths
        hidden = uniforms(seed, "cd/hidden", update, (steps, len(x.lengths), s.hidden), net.bias.dtype)
        words = uniforms(seed, "cd/words", update, (steps, int(x.lengths.sum())), net.bias.dtype)
        slopes, _ = contrastive_divergence(
            x,
            steps,
            lambda chain, step: reconstruct(net, chain, hidden[None, step], words[None, step]),
            lambda chain: gradient(net, chain, shares),
        )
        rate = s.rate * (1 - update / s.updates)
        net.weight.mul_(1 - rate * s.weight_decay)
        for i, (parameter, slope) in enumerate(zip(net, slopes, strict=True)):
            parameter.add_(rate * direction(slope, [moment[i] for moment in moments], s.optimiser, update))

    def evaluate(self, state: ReplicatedSoftmaxState) -> Estimate:
        """The log-likelihood per word of the validation documents, by annealing; its standard error is log Z's."""
        each = [
            self._per_word(view(state.net, r), self.valid, self.settings.rungs)
            for r in range(len(self.replicas))
        ]  # alone, so alike in any company
        mean, stderr = (torch.cat(column) for column in zip(*(e[:2] for e in each), strict=True))
        return Estimate(mean, stderr, self.valid.documents)

    def _per_word(self, net: ReplicatedSoftmax, cases: Counts, rungs: int) -> Estimate:
        """The mean of log p / length over the cases; NaN of a model that has diverged."""
        if not all(bool(part.isfinite().all()) for part in net):
            nothing = torch.full((1,), torch.nan, dtype=torch.float64)
            return Estimate(nothing, nothing, cases.documents)
        lengths = torch.from_numpy(cases.lengths)
        log_z = log_partition(net, cases.lengths, cases, chains=self.settings.chains, rungs=rungs)
        log_p = log_prob(net, cases, log_z)
        stderr = (log_p.value - log_p.lower) / 3
        return Estimate((log_p.value / lengths).mean(-1), (stderr / lengths).mean(-1), cases.documents)
