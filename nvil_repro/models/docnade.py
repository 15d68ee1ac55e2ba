"""DocNADE, an autoregressive model of documents (Larochelle & Lauly 2012), R replicas at a time.

p(v_1 .. v_n) = prod_i p(v_i | v_<i), p(v_i = w | v_<i) = softmax(b + V h_i)_w, h_i = sigma(c + sum_{k<i} W_{v_k}).

A full softmax over the vocabulary, where the paper has a binary tree of logistic regressions. The length of a document
is given. A document has no order: every order of its words has a probability of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvil_repro import streams
from nvil_repro.data.sequences import Sequences

ELEMENTS = 1 << 20  # logits at once: few enough to stay in cache, enough for a product to be fast
TOKENS = 1 << 15  # words whose hidden units are held at once, unless one document has more


class DocNade(NamedTuple):
    """Parameters of R models of V words with H hidden units."""

    weight: Tensor  # W [R, V, H], row w for a word w that has been read
    hidden_bias: Tensor  # c [R, H]
    output: Tensor  # V [R, V, H], row w for the probability of word w
    bias: Tensor  # b [R, V]


def docnade(
    hidden: int, seeds: Sequence[int], *, totals: NDArray[np.integer], dtype: torch.dtype = torch.float32
) -> DocNade:
    """A fresh model of R = len(seeds) replicas for words that occur `totals` [V] times in training.

    W and V are normal with standard deviations 1/10 and 1/100, c is zero and b the log of the frequencies smoothed by
    one, so that it begins about where the unigram model ends.
    Errors: `ValueError` if `hidden` is not positive, there is no seed, or `totals` is not [V] of numbers from 0 on.
    """
    if hidden < 1 or not seeds:
        raise ValueError(f"need hidden units and at least one seed, got hidden={hidden}, seeds={seeds}")
    if totals.ndim != 1 or not len(totals) or totals.min() < 0:
        raise ValueError(f"totals must be [V], at least 0, got shape {totals.shape}")

    def normal(name: str, deviation: float) -> Tensor:
        shape = (len(totals), hidden)
        each = [streams.normals(seed, f"init/docnade/{name}", 0, shape, dtype) for seed in seeds]
        return torch.stack(each) * deviation

    frequencies = torch.log_softmax(torch.from_numpy(np.log(totals + 1.0)), 0).to(dtype)
    return DocNade(
        normal("weight", 0.1),
        torch.zeros(len(seeds), hidden, dtype=dtype),
        normal("output", 0.01),
        frequencies.repeat(len(seeds), 1),
    )


@torch.no_grad()
def log_prob(model: DocNade, documents: Sequences) -> Tensor:
    """log p of the words of each document in the order given, exactly, in nats: [R, N] float64, in bounded memory.

    Errors: `ValueError` naming the first word that is not of the vocabulary.
    """
    check_words(documents.words, model.bias.shape[-1])
    replicas = [DocNade(*(part[r] for part in model)) for r in range(len(model.bias))]
    parts = [[_log_prob(net, part) for net in replicas] for part in _groups(documents)]
    empty = torch.zeros(len(replicas), 0, dtype=torch.float64)
    return torch.cat([empty, *(torch.stack(part) for part in parts)], -1)


def check_words(words: NDArray[np.int64], vocabulary: int) -> None:
    """Errors: `ValueError` naming the first word that is none of the vocabulary."""
    strange = (words < 0) | (words >= vocabulary)
    if strange.any():
        raise ValueError(
            f"word {words[strange.argmax()]} is not of the model's {vocabulary:,}: expected 0 to {vocabulary - 1}; "
            "count the documents over the model's vocabulary"
        )


def hidden_units(net: DocNade, words: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """h of rows that have read the words start[p] .. stop[p] - 1 of words [tokens]; `net` without R: [P, H]."""
    read = torch.nn.functional.pad(net.weight[words].double().cumsum(0), (0, 0, 1, 0))
    return torch.sigmoid(net.hidden_bias + (read[stop] - read[start]).to(net.weight.dtype))


def blocks(rows: int, vocabulary: int) -> Iterator[slice]:
    """Rows of logits a few at a time."""
    size = max(1, ELEMENTS // vocabulary)
    return (slice(begin, min(begin + size, rows)) for begin in range(0, rows, size))


def _log_prob(net: DocNade, documents: Sequences) -> Tensor:
    """[N], of one model without the axis R."""
    words = torch.from_numpy(documents.words)
    tokens, start = torch.arange(len(words)), np.repeat(documents.starts[:-1], documents.lengths)
    h = hidden_units(net, words, torch.from_numpy(start), tokens)
    terms = torch.empty(len(words), dtype=torch.float64)
    for block in blocks(len(words), len(net.bias)):
        log_p = torch.log_softmax(torch.addmm(net.bias, h[block], net.output.T), -1)
        terms[block] = log_p.gather(1, words[block, None])[:, 0].double()
    document = torch.from_numpy(np.repeat(np.arange(len(documents.lengths)), documents.lengths))
    return torch.zeros(len(documents.lengths), dtype=torch.float64).index_add_(0, document, terms)


def _groups(documents: Sequences) -> Iterator[Sequences]:
    """Consecutive documents with at most `TOKENS` words, or one with more."""
    begin, starts = 0, documents.starts
    while begin < len(starts) - 1:
        end = max(begin + 1, int(np.searchsorted(starts, starts[begin] + TOKENS, side="right")) - 1)
        part = starts[begin : end + 1]
        yield Sequences(part - part[0], documents.words[part[0] : part[-1]])
        begin = end
