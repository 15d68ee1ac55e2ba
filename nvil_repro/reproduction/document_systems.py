"""The systems of Table 3: how each is trained, and what its documents' log p is and of what kind.

Kinds, which rows carry as their variant: "bound", below log p; "importance-weighted", a tighter one; "exact";
"left-to-right estimate" and "estimate over orders", on average below log p (LDA, DocNADE's ensemble); "AIS estimate",
above it, as annealing underestimates the replicated softmax's partition function.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nvil_repro.data.counts import Corpus
from nvil_repro.evaluation.document_bounds import document_bounds, document_estimates
from nvil_repro.evaluation.documents import Scores, score_docnade, score_lda
from nvil_repro.evaluation.importance import random_part
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.evaluation.partition_estimate import relative_sd
from nvil_repro.evaluation.perplexity import Perplexity, carried_perplexity, perplexity
from nvil_repro.evaluation.replicated_softmax import (
    Partition,
    log_partition,
    log_partition_from_above,
    log_prob,
    raised,
)
from nvil_repro.files import settings_hash
from nvil_repro.reproduction.measurements import Numbers
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.training import docnade, document_nets, lda, lda_gibbs, replicated_softmax
from nvil_repro.training.docnade import DocNadeSettings
from nvil_repro.training.document_nets import DocumentSettings
from nvil_repro.training.lda import LdaSettings
from nvil_repro.training.lda_gibbs import GibbsLdaSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings

CODE = ("reproduction/document_systems.py",)  # and all that it imports
SOFTMAX = 20  # costs a word as much as so many products
USUAL = (0.1, 0.5, 0.9, 0.99)  # quantiles of the test lengths at which log Z is shown from both ends
LOG_Z = "log_z"
OF_Z = " by 3 standard errors of Z"  # what an interval in a note is called, which `interval_of` reads again
PER_DOCUMENT, PER_CORPUS = "perplexity_per_document", "perplexity_corpus"


def perplexities(scores: Scores, corpus: Corpus, note: str = "") -> Numbers:
    """Both perplexities of the test documents, under "metric/kind"; the note adds the first one's error of sampling.

    Those of other documents are under "metric/kind/split".
    """
    lengths = corpus.test.lengths
    found = perplexity(scores.log_p, lengths)
    if sampling := found.per_document * np.sqrt(np.square(scores.stderr / lengths).sum()) / len(lengths):
        note = "; ".join(filter(None, (note, f"error of sampling {sampling:.2g}")))
    return _both(found, scores.kind, note)


def _both(found: Perplexity, kind: str, note: str) -> Numbers:
    per_document = (found.per_document, found.per_document_stderr, found.documents, note)
    per_corpus = (found.corpus, found.corpus_stderr, found.documents, note)
    return {f"{PER_DOCUMENT}/{kind}": per_document, f"{PER_CORPUS}/{kind}": per_corpus}


@dataclass(frozen=True)
class BeliefNetSystem:
    """SBN or fDARN by NVIL: the paper's bound, also on random training documents, and the importance-weighted one on
    random test documents, carried over to all of them as a difference estimate.
    """

    training: DocumentSettings
    vocabulary: int
    test_documents: int
    bound_samples: int
    importance_samples: int
    importance_documents: int
    module: str = "training/document_nets.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        decoder = self.vocabulary * (s.layers[0] + SOFTMAX)
        lateral = s.layers[-1] ** 2 * s.architecture.prior
        return 2 * s.batch_size * len(s.replicas) * (decoder + lateral)

    @property
    def name(self) -> str:
        sizes = (self.test_documents, self.bound_samples, self.importance_samples, self.importance_documents)
        return _name(sizes)

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return document_nets.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        test, seed = data.test, self.training.seeds[0]
        bound = document_bounds(net, test, self.bound_samples, seed=seed, name="test")
        scores = Scores(bound.values[0].numpy(), bound.stderr[0].numpy(), "bound")
        part = random_part(test.documents, self.importance_documents)
        weighted = document_estimates(net, test.take(part.numpy()), self.importance_samples, seed=seed)
        finer = carried_perplexity(scores.log_p, test.lengths, part.numpy(), weighted.values[0].numpy())
        effective = 1 / (weighted.stderr[0].square() + 1 / self.importance_samples)
        note = f"{self.importance_samples:,} samples each of {len(part):,} documents, carried over to all"
        note += f", median effective {effective.median().item():.0f}"
        seen = data.train.take(random_part(data.train.documents, self.importance_documents).numpy())
        fit = document_bounds(net, seen, self.bound_samples, seed=seed, name="train")
        numbers = perplexities(scores, data) | _both(finer, "importance-weighted", note)
        return numbers | _both(perplexity(fit.values[0].numpy(), seen.lengths), "bound/train", "")


@dataclass(frozen=True)
class DocNadeSystem:
    """DocNADE, its documents read in several orders: the mean of log P over them, exact for each, and its ensemble."""

    training: DocNadeSettings
    vocabulary: int
    test_documents: int
    orders: int
    module: str = "training/docnade.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        return 3 * s.batch_size * (s.positions or 50) * self.vocabulary * (s.hidden + SOFTMAX)

    @property
    def name(self) -> str:
        return _name((self.test_documents, self.orders))

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return docnade.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        scores = score_docnade(net, data.test, self.orders, self.training.seeds[0])
        note = f"{self.orders} orders of words"
        return perplexities(scores.order, data, note) | perplexities(scores.ensemble, data, note)


@dataclass(frozen=True)
class ReplicatedSoftmaxSystem:
    """The replicated softmax. log Z is annealed up from no word for every test length, and for usual ones also down
    from training documents.
    """

    training: ReplicatedSoftmaxSettings
    vocabulary: int
    test_documents: int
    chains: int
    rungs: int
    module: str = "training/replicated_softmax.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        return 3 * s.batch_size * self.vocabulary * (s.hidden + SOFTMAX)

    @property
    def name(self) -> str:
        return _name((self.test_documents, self.chains, self.rungs))

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return replicated_softmax.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        test, seed, chains, rungs = data.test, self.training.seeds[0], self.chains, self.rungs
        rising = log_partition(net, test.lengths, chains=chains, rungs=rungs, seed=seed)
        partition = raised(net, rising, test)
        found = log_prob(net, test, partition)
        lengths = torch.from_numpy(test.lengths)
        low, high = (math.exp(-(part[0] / lengths).mean().item()) for part in (found.upper, found.lower))
        effective = f"{partition.log_z.effective_samples.min().item():.0f} effective at worst"
        note = f"{chains:,} chains, {rungs:,} rungs: {low:.0f} to {high:.0f}{OF_Z}, {effective}"
        scores = Scores(found.value[0].numpy(), np.zeros(test.documents), "AIS estimate")
        usual = np.quantile(test.lengths, USUAL, method="nearest").astype(np.int64)
        falling = log_partition_from_above(net, usual, data.train, chains=chains, rungs=rungs, seed=seed)
        below = _log_z("AIS", rising, usual, chains)
        above = _log_z("reverse AIS", falling, usual, chains)
        return perplexities(scores, data, note) | below | above


def interval_of(note: str) -> tuple[float, float] | None:
    """The ends of the perplexity that a note of the replicated softmax gives; None where there are none."""
    found = re.search(rf"(\d+) to (\d+){OF_Z}", note)
    return (float(found[1]), float(found[2])) if found else None


def _log_z(method: str, partition: Partition, lengths: NDArray[np.int64], chains: int) -> Numbers:
    """log Z_D of some lengths, under "log_z/method, D words", and what its weights say of its error."""
    numbers: Numbers = {}
    for words in lengths.tolist():
        at = int(torch.searchsorted(partition.lengths, words))
        effective = partition.log_z.effective_samples[0, at].item()
        value, stderr = partition.log_z.log_z[0, at].item(), relative_sd(effective, chains)
        numbers[f"{LOG_Z}/{method}, {words} words"] = (value, stderr, 0, f"{effective:.0f} effective chains")
    return numbers


@dataclass(frozen=True)
class LdaSystem:
    """LDA by online variational Bayes, its documents scored left to right."""

    training: LdaSettings
    test_documents: int
    particles: int
    module: str = "training/lda.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        return s.batch_size * s.inference_steps * s.topics * 50  # different words of a document

    @property
    def name(self) -> str:
        return _name((self.test_documents, self.particles))

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return lda.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        return _left_to_right(net, data, self.particles, self.training.seeds[0])


@dataclass(frozen=True)
class GibbsLdaSystem:
    """LDA by collapsed Gibbs sampling, scored likewise."""

    training: GibbsLdaSettings
    tokens: int
    test_documents: int
    particles: int
    module: str = "training/lda_gibbs.py"

    @property
    def multiply_adds(self) -> float:
        return 2 * self.tokens * self.training.topics

    @property
    def name(self) -> str:
        return _name((self.test_documents, self.particles))

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return lda_gibbs.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        return _left_to_right(net, data, self.particles, self.training.seeds[0])


def _left_to_right(net: Any, data: Corpus, particles: int, seed: int) -> Numbers:
    scores = score_lda(net, data.test, LeftToRight(particles), seed)
    return perplexities(scores, data, f"left to right, {particles} particles")


System = BeliefNetSystem | DocNadeSystem | ReplicatedSoftmaxSystem | LdaSystem | GibbsLdaSystem


def _name(effort: tuple[int, ...]) -> str:
    """Names sizes and code of a measurement."""
    return settings_hash({"effort": effort, "code": code_hash(of=CODE)})
