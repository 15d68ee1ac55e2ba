"""What units and topics of document models stand for: their words, and the documents that share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.learning.lda import csr
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.models.docnade import DocNade
from nvil_repro.models.lda import Lda, topics
from nvil_repro.models.replicated_softmax import ReplicatedSoftmax
from nvil_repro.reproduction.cells import DocumentCell
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.naming import BELIEF_NETS, parse_model

if TYPE_CHECKING:
    import pandas


def top_words(
    systems: Mapping[DocumentCell, Measured | None],
    corpora: Mapping[str, Corpus],
    units: int = 5,
    count: int = 8,
) -> pandas.DataFrame:
    """The words of the largest weights of the first units (topics) of systems, their first nets here: a line a system
    and unit, a column a corpus.
    """
    import pandas

    lines: dict[tuple[str, int], dict[str, str]] = {}
    for cell, net in _firsts(systems):
        weights, words = word_weights(net)[:units], corpora[cell.corpus].words
        for unit, row in enumerate(np.argsort(-weights, axis=1, kind="stable")[:, :count]):
            lines.setdefault((cell.system, unit), {})[cell.corpus] = ", ".join(words[w] for w in row)
    index = pandas.MultiIndex.from_tuples(list(lines), names=["system", "unit"])
    return pandas.DataFrame(list(lines.values()), index=index).fillna("")


def word_weights(net: Any) -> NDArray[np.float64]:
    """How much each hidden unit or topic speaks for each word, of replica 0: [H, V]. A unit's weights; of a topic the
    probability of the word, times the log of what it is over the mean of all topics.
    """
    match net:
        case BeliefNet():
            return net.generative[0].weight[0].double().numpy()
        case Lda():
            phi = topics(net)[0]
            return (phi.log() - phi.mean(0).log()).numpy() * phi.numpy()
        case DocNade():
            return net.output[0].double().numpy().T
        case ReplicatedSoftmax():
            return net.weight[0].double().numpy().T
    raise TypeError(f"no words of a {type(net).__name__}")


def nearest_documents(
    systems: Mapping[DocumentCell, Measured | None],
    corpora: Mapping[str, Corpus],
    documents: Sequence[int],
    count: int = 2,
    words: int = 6,
) -> pandas.DataFrame:
    """For test documents of each corpus, the training documents whose units' probabilities under the Q of its first
    belief network here have the smallest angle to theirs, each told by its most telling words.
    """
    import pandas

    lines = []
    for cell, net in _belief_nets(systems):
        corpus = corpora[cell.corpus]
        codes, wanted = _codes(net, corpus.train), _codes(net, corpus.test.take(np.asarray(documents)))
        nearest = np.argsort(-(wanted @ codes.T), axis=1, kind="stable")[:, :count]
        for document, row in zip(documents, nearest, strict=True):
            near = [_telling(corpus, corpus.train, n, words) for n in row]
            told = _telling(corpus, corpus.test, document, words)
            lines.append((f"{cell.system}, {cell.corpus}", told, *near))
    names = ["told by", "test document", *(f"nearest {i}" for i in range(1, count + 1))]
    return pandas.DataFrame(lines, columns=names)


def _codes(net: BeliefNet, counts: Counts) -> NDArray[np.float64]:
    """Q(h = 1 | x) - 1/2 of every document, scaled to length one: [N, H]."""
    weight, bias, centre = (
        part.double().numpy()
        for part in (net.recognition[0].weight[0], net.recognition[0].bias[0], net.centre)
    )
    logits = csr(counts) @ weight + (bias - centre @ weight)
    codes = np.tanh(logits / 2)  # twice that, and no exponential to overflow
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def _telling(corpus: Corpus, counts: Counts, document: int, words: int) -> str:
    """The words of a document that stand out most from the training documents'."""
    one = counts.take(np.array([document]))
    frequency = (corpus.train.word_totals()[one.words] + 1) / corpus.train.lengths.sum()
    order = np.argsort(-one.counts * -np.log(frequency), kind="stable")[:words]
    return ", ".join(corpus.words[w] for w in one.words[order])


def _firsts(systems: Mapping[DocumentCell, Measured | None]) -> list[tuple[DocumentCell, Any]]:
    """Each corpus's and system's net, best on validation, of its first protocol and seed that is here."""
    first: dict[tuple[str, str], tuple[DocumentCell, Any]] = {}
    for cell, measured in systems.items():
        if measured is not None:
            first.setdefault((cell.corpus, cell.system), (cell, measured.result.best.net))
    return list(first.values())


def _belief_nets(systems: Mapping[DocumentCell, Measured | None]) -> list[tuple[DocumentCell, BeliefNet]]:
    """The first belief network of each corpus that has one here."""
    nets: dict[str, tuple[DocumentCell, BeliefNet]] = {}
    for cell, net in _firsts(systems):
        if parse_model(cell.system)[0] in BELIEF_NETS:
            nets.setdefault(cell.corpus, (cell, net))
    return list(nets.values())
