"""The unigram model: every word of a document is drawn from one distribution, the training frequencies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts

SMOOTHING = 1.0  # Laplace's


class Unigram(NamedTuple):
    """log p of every word, in nats: [V], float64."""

    log_p: NDArray[np.float64]


def unigram(train: Counts, smoothing: float = SMOOTHING) -> Unigram:
    """p(w) = (n_w + smoothing) / (n + smoothing V), n_w of the n training words being w.

    Errors: `ValueError` unless `smoothing` is finite and above 0, which keeps words never seen possible.
    """
    if not 0 < smoothing < math.inf:
        raise ValueError(
            f"smoothing={smoothing}: expected a finite number above 0, or a word never seen is impossible"
        )
    weights = train.word_totals() + smoothing
    return Unigram(np.log(weights) - math.log(weights.sum()))


def log_prob(model: Unigram, documents: Counts) -> NDArray[np.float64]:
    """log p of the words of each document in any one order, no multinomial coefficient, in nats: [N].

    Errors: `ValueError` if the vocabularies differ.
    """
    if documents.vocabulary != len(model.log_p):
        raise ValueError(
            f"the documents count {documents.vocabulary:,} words and the model knows {len(model.log_p):,}: "
            "expected the same; build both from one corpus"
        )
    terms = documents.counts * model.log_p[documents.words]
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    return sums[documents.starts[1:]] - sums[documents.starts[:-1]]
