"""LDA by collapsed Gibbs sampling as a method of the loop: an update is a sweep over all training documents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.sequences import Sequences, sequences
from nvil_repro.evaluation.importance import random_part
from nvil_repro.learning.lda_gibbs import NAME, random_topics, sweep, word_topics
from nvil_repro.models.lda import Lda
from nvil_repro.streams import stream
from nvil_repro.training import likelihood
from nvil_repro.training.lda import per_word, validate
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica
from nvil_repro.trees import view

SEEN = 256  # training documents of the objective, at most


@dataclass(frozen=True)
class GibbsLdaSettings(SeedSettings):
    """Sampling LDA's topics, a replica per seed; of the defaults, which are ours, the two priors were chosen among a
    few on validation documents of 20 Newsgroups.

    An update is a sweep, see `learning.lda_gibbs`. The model is the mean of phi given the topics of the last one. Its
    log-likelihoods are left-to-right estimates with `particles`, those of training documents of the same 256 each time.
    Nothing but `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    topics: int = 50
    updates: int = 200
    seeds: tuple[int, ...] = (0,)
    concentration: float = 5.0  # of a document's Dirichlet over topics, in all
    eta: float = 0.1  # of a topic's Dirichlet over words, each
    eval_every: int = 4
    chunk: int = 1  # updates between estimates of the training objective
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    particles: int = 20
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        least = {"topics": 1, "particles": 1, "chunk": 1, "concentration": 1e-6, "eta": 1e-6}
        likelihood.check_settings(self, least)

    @property
    def alpha(self) -> float:
        """Of a document's Dirichlet over topics, each."""
        return self.concentration / self.topics


class GibbsLdaState(NamedTuple):
    """Everything an update changes."""

    net: Lda
    assignments: Tensor  # int32 [R, tokens]: the topic of every word of the training documents, z


def train(
    settings: GibbsLdaSettings,
    data: Corpus,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[GibbsLdaState]:
    """Sample a model per seed on `data.train`, tracking the log-likelihood per word of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress` is bar,
    lines or off, None to find out which; `threads` is not used: sweeps run one by one.
    Errors: `ValueError` if a document is empty; `ImportError` without numba; those of `loop.run`.
    """
    likelihood.check_corpus(data, 1)
    if find_spec("numba") is None:
        raise ImportError("LDA is sampled and scored by compiled code: pip install numba")
    return likelihood.run(
        GibbsLdaMethod(settings, data.train, data.valid), settings, data, folder, title, progress
    )


@dataclass(frozen=True)
class GibbsLdaMethod:
    """Collapsed Gibbs sampling, a `method.Method`."""

    settings: GibbsLdaSettings
    train: Counts
    valid: Counts
    metric: str = likelihood.PER_WORD

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> GibbsLdaState:
        """Every word has a random topic."""
        s, vocabulary = self.settings, self.train.vocabulary
        drawn = [random_topics(s.topics, self._documents, seed) for seed in s.seeds]
        counts = [word_topics(s.topics, vocabulary, self._documents, each) for each in drawn]
        dirichlet = torch.stack([s.eta + torch.from_numpy(each.T) for each in counts])
        alpha = torch.full((len(s.seeds), s.topics), s.alpha, dtype=torch.float64)
        return GibbsLdaState(Lda(dirichlet, alpha), torch.stack([torch.from_numpy(each) for each in drawn]))

    def advance(self, state: GibbsLdaState, first_update: int, count: int) -> Tensor:
        """Run `count` sweeps in place; for each, the log-likelihood per word of some training documents after the last:
        [count, R], in nats.
        """
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)
        for r, seed in enumerate(self.settings.seeds):
            for update in range(first_update, first_update + count):
                self.resample(state, r, update)
            log_p, _ = per_word(view(state.net, r), self._seen, self.settings.particles, seed)
            objective[:, r] = log_p.mean()
        return objective

    def resample(self, state: GibbsLdaState, r: int, update: int) -> None:
        """One sweep of replica r, in place."""
        counts = sweep(
            state.assignments[r].numpy(),
            self._documents,
            self.train.vocabulary,
            alpha=state.net.alpha[r].numpy(),
            eta=self.settings.eta,
            uniforms=stream(self.settings.seeds[r], NAME, update).random(len(self._documents.words)),
        )
        state.net.dirichlet[r].copy_(torch.from_numpy(counts.T)).add_(self.settings.eta)

    def evaluate(self, state: GibbsLdaState) -> Estimate:
        """The log-likelihood per word of the validation documents, with the same random numbers each time."""
        return validate(state.net, self.valid, self.settings.particles)

    @cached_property
    def _documents(self) -> Sequences:
        return sequences(self.train)

    @cached_property
    def _seen(self) -> Counts:
        return self.train.take(random_part(self.train.documents, SEEN).numpy())
