"""Of every document: the bound on its log-probability, and the importance-weighted estimate, in bounded memory.

Document n draws its samples as case n does in `evaluation.weights`; perplexities are made of what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.evaluation.weights import ELEMENTS, log_weights, weight_chunks
from nvil_repro.models import multinomial
from nvil_repro.models.belief_net import BeliefNet


class DocumentLogProbs(NamedTuple):
    """log P(x) of N documents in nats, or what stands for it, float64; without the multinomial coefficient."""

    values: Tensor  # [R, N]
    stderr: Tensor  # [R, N], what other samples of h would change: none of it is the choice of documents
    lengths: Tensor  # [N], words
    samples: int  # of h per document

    def per_word(self) -> tuple[Tensor, Tensor]:
        """The mean over documents of log P / length, minus the log of the perplexity per document, and its error by
        the sampling: [R], [R].
        """
        n = len(self.lengths)
        error = (self.stderr / self.lengths).square().sum(-1).sqrt() / n
        return (self.values / self.lengths).mean(-1), error


def document_bounds(
    net: BeliefNet, documents: Counts, samples: int = 10, *, seed: int = 0, name: str = "bound"
) -> DocumentLogProbs:
    """The paper's number: E_Q[log P(x, h) - log Q(h | x)], the mean over `samples` draws h ~ Q(h | x).

    Document n draws from the stream (seed, name, n), shared by all replicas; an error needs two samples, and is NaN
    otherwise. Errors: `ValueError` if the documents do not fit the net, one is empty or `samples` is not positive.
    """

    def bound(chunks: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        weights = torch.cat([chunk.double() for chunk in chunks], -1)
        several = samples > 1
        variance = weights.var(-1) if several else torch.full_like(weights[..., 0], math.nan)
        return weights.mean(-1), (variance / samples).sqrt()

    return _of_each(net, documents, samples, seed, name, bound, None)


def document_estimates(
    net: BeliefNet,
    documents: Counts,
    samples: int = 1000,
    *,
    seed: int = 0,
    name: str = "importance",
    progress: Callable[[int, int], None] | None = None,
) -> DocumentLogProbs:
    """log (1/K) sum_k P(x, h_k) / Q(h_k | x) with K = `samples`: below log P(x) in expectation, rising with K.

    The error is that of the log of a mean, sqrt(1/effective samples - 1/K); `progress(done, N)` is called as documents
    are finished. Errors: as `document_bounds`.
    """

    def estimate(chunks: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        log_sum = log_squares = torch.tensor(-math.inf, dtype=torch.float64)
        for weights in chunks:
            weights = weights.double()
            log_sum = torch.logaddexp(log_sum, weights.logsumexp(-1))
            log_squares = torch.logaddexp(log_squares, (2 * weights).logsumexp(-1))
        spread = (log_squares - 2 * log_sum).exp() - 1 / samples
        return log_sum - math.log(samples), spread.clamp(min=0).sqrt()

    return _of_each(net, documents, samples, seed, name, estimate, progress)


def _of_each(
    net: BeliefNet,
    documents: Counts,
    samples: int,
    seed: int,
    name: str,
    summarise: Callable[[Iterator[Tensor]], tuple[Tensor, Tensor]],
    progress: Callable[[int, int], None] | None,
) -> DocumentLogProbs:
    """What `summarise` makes of the log-weights of some documents, [R, C, k] in pieces: value and error, [R, C]."""
    lengths = torch.from_numpy(documents.lengths).double()
    if documents.vocabulary != len(net.centre):
        raise ValueError(f"documents of {documents.vocabulary:,} words for a net of {len(net.centre):,}")
    if not documents.documents or not lengths.min():
        raise ValueError("there is no document, or an empty one: expected words in each; drop it")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    weigh = partial(log_weights, visible=multinomial)
    found: list[tuple[Tensor, Tensor]] = []
    group = max(1, ELEMENTS // documents.vocabulary)
    for first in range(0, documents.documents, group):
        some = np.arange(first, min(first + group, documents.documents))
        x = torch.from_numpy(documents.take(some).dense())
        pieces = weight_chunks(net, x, samples, seed, name, first, weigh=weigh)
        found.extend(summarise(chunks) for _, chunks in pieces)
        if progress:
            progress(int(some[-1]) + 1, documents.documents)
    values, errors = (torch.cat(part, -1) for part in zip(*found, strict=True))
    return DocumentLogProbs(values, errors, lengths, samples)
