"""LDA as a method of the loop: an update is a minibatch of scikit-learn's online variational Bayes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.left_to_right import LeftToRight, log_prob
from nvil_repro.learning.lda import online_update
from nvil_repro.models.lda import Lda, lda
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Replica
from nvil_repro.training.settings import SettingsError
from nvil_repro.trees import view

NEEDED = {"numba": "numba", "sklearn": "scikit-learn"}
RUNS = 2  # of an estimate while training


@dataclass(frozen=True)
class LdaSettings(SeedSettings):
    """Fitting LDA, a replica per seed; of the defaults, which are ours, the two priors were the best of a few on
    validation documents of 20 Newsgroups.

    An update is one of Hoffman, Blei & Bach (2010): lambda moves the share (learning_offset + t)^-learning_decay of its
    way, t = 1, 2, ..., to what the minibatch alone would make of it. With `learning_decay` 0 and a minibatch of all
    documents it is batch variational Bayes. Validation and training log-likelihoods are left-to-right estimates with
    `particles`. Nothing but `checkpoint_seconds` is outside the hash. Errors: `SettingsError`.
    """

    topics: int = 50
    updates: int = 880  # 20 passes over 20 Newsgroups
    seeds: tuple[int, ...] = (0,)
    concentration: float = 5.0  # of a document's Dirichlet over topics, in all
    eta: float = 0.3  # of a topic's Dirichlet over words, each
    batch_size: int = 256
    learning_decay: float = 0.7
    learning_offset: float = 10.0
    inference_steps: int = 100  # at most, for the topics of a document
    eval_every: int = 44
    chunk: int = 1  # updates between estimates of the training objective
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    particles: int = 20
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        whole = {"topics": 1, "batch_size": 1, "inference_steps": 1, "particles": 1, "chunk": 1}
        real = {"concentration": 1e-6, "eta": 1e-6, "learning_decay": 0.0, "learning_offset": 1.0}
        likelihood.check_settings(self, whole | real)
        if self.learning_decay > 1:
            raise SettingsError(
                f"learning_decay={self.learning_decay}: expected at most 1; (0.5, 1] converges"
            )

    @property
    def alpha(self) -> float:
        """Of a document's Dirichlet over topics, each."""
        return self.concentration / self.topics


class LdaState(NamedTuple):
    """Everything an update changes."""

    net: Lda


def train(
    settings: LdaSettings,
    data: Corpus,
    folder: str | Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> TrainResult[LdaState]:
    """Fit a model per seed to `data.train`, tracking the log-likelihood per word of `data.valid`.

    `folder` keeps checkpoints, so that the same call continues an interrupted run, see `loop.run`; `progress`
    is bar, lines or off, None to find out which; `threads` is not used: scikit-learn's updates run one by one.
    Errors: `ValueError` if a document is empty or there are fewer than a minibatch; `ImportError` without numba or
    scikit-learn; those of `loop.run`.
    """
    likelihood.check_corpus(data, settings.batch_size)
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise ImportError(
            f"LDA is fitted by scikit-learn and scored by compiled code: pip install {' '.join(missing)}"
        )
    return likelihood.run(
        LdaMethod(settings, data.train, data.valid), settings, data, folder, title, progress
    )


@dataclass(frozen=True)
class LdaMethod:
    """Online variational Bayes, a `method.Method`."""

    settings: LdaSettings
    train: Counts
    valid: Counts
    metric: str = likelihood.PER_WORD

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.settings.replicas

    def start(self) -> LdaState:
        """Random topics."""
        s = self.settings
        return LdaState(lda(s.topics, s.seeds, vocabulary=self.train.vocabulary, alpha=s.alpha))

    def advance(self, state: LdaState, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; for each, the log-likelihood per word of the last one's minibatch before it:
        [count, R], in nats.
        """
        objective = torch.empty(count, len(self.replicas), dtype=torch.float64)
        for t in range(count):
            for r, seed in enumerate(self.settings.seeds):
                net, documents = view(state.net, r), self._minibatch(first_update + t, seed)
                if t + 1 == count:
                    objective[:, r] = per_word(net, documents, self.settings.particles, seed)[0].mean()
                self._update(net, documents, seed, first_update + t)
        return objective

    def _minibatch(self, update: int, seed: int) -> Counts:
        n, batch = self.train.documents, self.settings.batch_size
        return self.train.take(minibatch_indices(n, batch, update, 1, seed)[0].numpy())

    def _update(self, net: Lda, documents: Counts, seed: int, update: int) -> None:
        """Move one model in place."""
        s = self.settings
        stepped = online_update(
            net.dirichlet[0].numpy(),
            documents,
            alpha=s.alpha,
            eta=s.eta,
            total=self.train.documents,
            share=(s.learning_decay, s.learning_offset),
            steps=s.inference_steps,
            seed=seed,
            update=update,
        )
        net.dirichlet[0].copy_(torch.from_numpy(stepped))

    def evaluate(self, state: LdaState) -> Estimate:
        """The log-likelihood per word of the validation documents, with the same random numbers each time."""
        return validate(state.net, self.valid, self.settings.particles)


def validate(net: Lda, documents: Counts, particles: int) -> Estimate:
    """The left-to-right estimate of the log-likelihood per word, in nats, of each of R models."""
    found = [per_word(view(net, r), documents, particles, 0) for r in range(len(net.alpha))]
    return Estimate(
        torch.stack([log_p.mean() for log_p, _ in found]),
        torch.stack([stderr.square().sum().sqrt() / len(stderr) for _, stderr in found]),
        documents.documents,
    )


def per_word(net: Lda, documents: Counts, particles: int, seed: int) -> tuple[Tensor, Tensor]:
    """Each document's estimate of log p / length under one model, and its standard error: [N], in nats."""
    found, lengths = log_prob(net, documents, LeftToRight(particles, runs=RUNS), seed), documents.lengths
    return torch.from_numpy(found.log_p / lengths), torch.from_numpy(found.stderr / lengths)
