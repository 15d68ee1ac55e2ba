"""The systems of Table 3: how each is trained, and what its documents' log p is and of what kind.

Kinds, which rows carry as their variant: "bound", below log p; "importance-weighted", a tighter one; "exact";
"estimate", of Monte Carlo, below log p on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from nvil_repro.data.counts import Corpus
from nvil_repro.evaluation.document_bounds import document_bounds, document_estimates
from nvil_repro.evaluation.documents import Scores, score_docnade, score_lda
from nvil_repro.evaluation.importance import difference_estimate, random_part
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.evaluation.perplexity import perplexity
from nvil_repro.evaluation.replicated_softmax import log_partition, log_prob
from nvil_repro.files import settings_hash
from nvil_repro.reproduction.measurements import Numbers
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.training import docnade, document_nets, lda, replicated_softmax
from nvil_repro.training.docnade import DocNadeSettings
from nvil_repro.training.document_nets import DocumentSettings
from nvil_repro.training.lda import LdaSettings
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.replicated_softmax import ReplicatedSoftmaxSettings

PER_DOCUMENT, PER_CORPUS = "perplexity_per_document", "perplexity_corpus"


def perplexities(scores: Scores, corpus: Corpus, note: str = "") -> Numbers:
    """Both perplexities of the test documents, under "metric/kind"."""
    found = perplexity(scores.log_p, corpus.test.lengths)
    return {
        f"{PER_DOCUMENT}/{scores.kind}": (
            found.per_document,
            found.per_document_stderr,
            found.documents,
            note,
        ),
        f"{PER_CORPUS}/{scores.kind}": (found.corpus, found.corpus_stderr, found.documents, note),
    }


@dataclass(frozen=True)
class BeliefNetSystem:
    """SBN or fDARN by NVIL: the paper's bound, and the importance-weighted one on random documents, carried over to all
    of them as a difference estimate.
    """

    training: DocumentSettings
    vocabulary: int
    bound_samples: int
    importance_samples: int
    importance_documents: int
    module: str = "training/document_nets.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        decoder = self.vocabulary * (s.layers[0] + 20)  # the softmax costs as much as twenty products
        lateral = s.layers[-1] ** 2 * s.architecture.prior
        return 2 * s.batch_size * len(s.replicas) * (decoder + lateral)

    @property
    def name(self) -> str:
        sizes = (self.bound_samples, self.importance_samples, self.importance_documents)
        return _name(sizes, "evaluation/document_bounds.py", "evaluation/perplexity.py")

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return document_nets.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        test, seed = data.test, self.training.seeds[0]
        bound = document_bounds(net, test, self.bound_samples, seed=seed, name="test")
        scores = Scores(bound.values[0].numpy(), bound.stderr[0].numpy(), "bound")
        part = random_part(test.documents, self.importance_documents)
        weighted = document_estimates(net, test.take(part.numpy()), self.importance_samples, seed=seed)
        mean, stderr = difference_estimate(
            bound.values / bound.lengths, part, weighted.values / weighted.lengths
        )
        value = math.exp(-mean.item())
        note = f"{self.importance_samples:,} samples a document"
        key = f"{PER_DOCUMENT}/importance-weighted"
        return perplexities(scores, data) | {key: (value, value * stderr.item(), len(part), note)}


@dataclass(frozen=True)
class OtherSystem:
    """DocNADE, replicated softmax or LDA, measured by `effort`: orders; chains and rungs; particles."""

    training: DocNadeSettings | ReplicatedSoftmaxSettings | LdaSettings
    vocabulary: int
    effort: tuple[int, ...]

    @property
    def module(self) -> str:
        return "training/" + self._module.__name__.rpartition(".")[2] + ".py"

    @property
    def _module(self) -> ModuleType:
        kinds = {DocNadeSettings: docnade, ReplicatedSoftmaxSettings: replicated_softmax, LdaSettings: lda}
        return kinds[type(self.training)]

    @property
    def multiply_adds(self) -> float:
        s = self.training
        if isinstance(s, DocNadeSettings):
            return 3 * s.batch_size * (s.positions or 50) * self.vocabulary * (s.hidden + 20)
        if isinstance(s, ReplicatedSoftmaxSettings):
            return 3 * s.batch_size * self.vocabulary * (s.hidden + 20)
        return s.batch_size * s.inference_steps * s.topics * 50

    @property
    def name(self) -> str:
        return _name(
            self.effort,
            "evaluation/documents.py",
            "evaluation/replicated_softmax.py",
            "evaluation/perplexity.py",
        )

    def train(self, data: Corpus, folder: Path, **options: Any) -> TrainResult[Any]:
        return self._module.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: Corpus) -> Numbers:
        s, seed = self.training, self.training.seeds[0]
        if isinstance(s, LdaSettings):
            how = LeftToRight(*self.effort)
            return perplexities(
                score_lda(net, data.test, how, seed), data, f"left to right, {how.particles} particles"
            )
        if isinstance(s, DocNadeSettings):
            each = score_docnade(net, data.test, *self.effort, seed=seed)
            note = f"{self.effort[0]} orders of words"
            return perplexities(each.order, data, note) | perplexities(each.ensemble, data, note)
        chains, rungs = self.effort
        partition = log_partition(net, data.test.lengths, data.test, chains=chains, rungs=rungs, seed=seed)
        found = log_prob(net, data.test, partition)
        error = ((found.upper - found.lower) / 6)[0]
        effective = partition.log_z.effective_samples.min().item()
        note = f"annealed by {chains} chains over {rungs:,} rungs, {effective:.0f} effective at worst"
        return perplexities(Scores(found.value[0].numpy(), error.numpy(), "estimate"), data, note)


System = BeliefNetSystem | OtherSystem


def _name(effort: tuple[int, ...], *modules: str) -> str:
    return settings_hash({"effort": effort, "code": code_hash(of=modules)})
