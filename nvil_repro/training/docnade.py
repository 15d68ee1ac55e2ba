"""DocNADE as a method of the loop: its settings, the orders it reads documents in, and rates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.data.sequences import Sequences, sequences, shuffled
from nvil_repro.learning.docnade import choose, conditionals, gradient
from nvil_repro.models.docnade import DocNade, docnade, log_prob
from nvil_repro.streams import stream
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica
from nvil_repro.training.optimisers import MOMENTS, Optimiser, direction
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.settings import DTYPES, SettingsError
from nvil_repro.trees import view


@dataclass(frozen=True)
class DocNadeSettings(SeedSettings):
    """Training DocNADE, a replica per seed; defaults are ours, the rate chosen on validation
    documents of 20 Newsgroups among 1e-3, 4e-3 and 8e-3.

    `rate` multiplies sums over the minibatch and falls linearly, to zero at `updates`. An update reads each of its
    documents in an order of its own and learns from `positions` of its conditionals, see `learning.docnade`.
    `weight_decay` shrinks W and V by rate x weight_decay an update, beside the gradient (Loshchilov & Hutter 2019).
    Nothing but `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    hidden: int = 50
    updates: int = 6_000  # 54 passes over 11,191 documents
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=lambda: Optimiser("adam"))
    rate: float = 4e-3
    weight_decay: float = 0.0
    batch_size: int = 100
    positions: int | None = 8  # None: all
    eval_every: int = 120
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    orders: int = 4  # in which each validation document is read, always the same
    chunk: int = 20  # updates in one call of the engine
    dtype: str = "float32"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        least = {"hidden": 1, "batch_size": 1, "chunk": 1, "orders": 2, "rate": 0.0, "weight_decay": 0.0}
        likelihood.check_settings(self, least | ({} if self.positions is None else {"positions": 1}))
        if not isinstance(self.optimiser, Optimiser):
            raise SettingsError(
                f'optimiser={self.optimiser!r}: expected an Optimiser; write Optimiser("adam")'
            )
        if self.optimiser.centre:
            raise SettingsError(
                f"centre={self.optimiser.centre}: DocNADE's hidden units are no bits; expected 0"
            )


class DocNadeState(NamedTuple):
    """Everything an update changes."""

    net: DocNade
    moments: tuple[DocNade, ...]  # the optimiser's buffers


def train(
    settings: DocNadeSettings,
    data: Corpus,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[DocNadeState]:
    """Train a model per seed on `data.train`, tracking the log-likelihood per word of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads`, as many as torch uses if None, share out the seeds
    and change no number.
    Errors: `ValueError` if a document is empty or there are fewer than a minibatch; those of `loop.run`.
    """
    likelihood.check_corpus(data, settings.batch_size)
    method = DocNadeMethod(settings, data.train, data.valid, threads or torch.get_num_threads())
    return likelihood.run(method, settings, data, folder, title, progress)


@dataclass(frozen=True)
class DocNadeMethod:
    """DocNADE by the gradient of its likelihood, a `method.Method`."""

    settings: DocNadeSettings
    train: Counts
    valid: Counts
    threads: int = 1
    metric: str = likelihood.PER_WORD

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> DocNadeState:
        """Fresh models, the biases from the training frequencies."""
        s = self.settings
        net = docnade(s.hidden, s.seeds, totals=self.train.word_totals(), dtype=DTYPES[s.dtype])
        zeros = (DocNade(*map(torch.zeros_like, net)) for _ in range(MOMENTS[s.optimiser.name]))
        return DocNadeState(net, tuple(zeros))

    def advance(self, state: DocNadeState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; each minibatch's log-likelihood per word, estimated from the conditionals
        learnt from: [count, R], in nats.
        """
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)

        def run(r: int, begin: int, end: int) -> None:
            kept = [DocNade(*(part[r] for part in net)) for net in (state.net, *state.moments)]
            for t in range(begin, end):
                objective[t, r] = self._update(kept, self.settings.seeds[r], first_update + t)

        run_interleaved(run, len(self.replicas), count, 1, self.threads)
        return objective

    @torch.no_grad()
    def _update(self, kept: list[DocNade], seed: int, update: int) -> float:
        """Move one model, kept[0], and its moments in place."""
        s, (net, *moments) = self.settings, kept
        cases = minibatch_indices(self.train.documents, s.batch_size, update, 1, seed)[0].numpy()
        generator = stream(seed, "docnade", update)
        documents = sequences(self.train.take(cases))
        documents = shuffled(documents, generator.random(len(documents.words)))
        chosen = choose(documents.lengths, s.positions)
        rows = conditionals(documents, chosen, generator.random(chosen.sum()))
        means, gradients = gradient(net, documents.words, rows)
        rate = s.rate * (1 - update / s.updates)
        for i, (parameter, slope) in enumerate(zip(net, gradients, strict=True)):
            if parameter.ndim > 1:
                parameter.mul_(1 - rate * s.weight_decay)
            parameter.add_(rate * direction(slope, [moment[i] for moment in moments], s.optimiser, update))
        per_row = torch.from_numpy(rows.weight / (rows.end - rows.start))  # 1/m
        return float((means * per_row).sum()) / len(cases)

    def evaluate(self, state: DocNadeState) -> Estimate:
        """The log-likelihood per word of the validation documents, the mean over their orders."""
        each = [
            self._per_word(view(state.net, r)) for r in range(len(self.replicas))
        ]  # alone, so alike in any company
        means = torch.stack([values.mean() for values in each])
        stderr = torch.stack([values.std() for values in each]) / math.sqrt(self.settings.orders)
        return Estimate(means, stderr, self.valid.documents)

    def _per_word(self, net: DocNade) -> Tensor:
        """The mean of log p / length over the validation documents, in each of their orders: [orders]."""
        lengths = torch.from_numpy(self.valid.lengths)
        return torch.stack([(log_prob(net, documents)[0] / lengths).mean() for documents in self._validation])

    @cached_property
    def _validation(self) -> list[Sequences]:
        """The validation documents in each of their orders."""
        documents, name = sequences(self.valid), "docnade/validation"
        return [
            shuffled(documents, stream(0, name, order).random(len(documents.words)))
            for order in range(self.settings.orders)
        ]
