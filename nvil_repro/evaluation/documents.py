"""log p of documents under the models that are no belief nets, and what kind of number it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts
from nvil_repro.data.sequences import sequences, shuffled
from nvil_repro.evaluation.left_to_right import LeftToRight
from nvil_repro.evaluation.left_to_right import log_prob as lda_log_prob
from nvil_repro.models.docnade import DocNade
from nvil_repro.models.docnade import log_prob as docnade_log_prob
from nvil_repro.models.lda import Lda
from nvil_repro.models.unigram import Unigram
from nvil_repro.models.unigram import log_prob as unigram_log_prob
from nvil_repro.streams import stream

# What a number that stands for log p is.
Kind = Literal["exact", "bound", "estimate over orders", "left-to-right estimate", "AIS estimate"]


class Scores(NamedTuple):
    """log p of N documents in nats, of their words in one order, no multinomial coefficient: input of `perplexity`."""

    log_p: NDArray[np.float64]  # [N]
    stderr: NDArray[np.float64]  # [N], of what was sampled to compute log p, 0 where nothing was
    kind: Kind


class Orders(NamedTuple):
    """What DocNADE says of documents read in S random orders, which differ in probability."""

    order: Scores  # mean_s log p(order s): exact for orders drawn, and on average below the other
    ensemble: (
        Scores  # log mean_s p(order s), an estimate of log of the mean over all orders, from below (Jensen)
    )


def score_unigram(model: Unigram, documents: Counts) -> Scores:
    """Exact. Errors: those of `models.unigram.log_prob`."""
    log_p = unigram_log_prob(model, documents)
    return Scores(log_p, np.zeros_like(log_p), "exact")


def score_docnade(model: DocNade, documents: Counts, orders: int = 10, seed: int = 0) -> Orders:
    """By reading the documents in orders s = 0 .. orders - 1, from the streams (seed, "docnade/orders", s).

    Errors: `ValueError` for fewer than two orders, whose spread is the error, a model that has not one replica, or
    words that are not the model's.
    """
    if orders < 2:
        raise ValueError(f"orders={orders}: expected at least 2, whose spread is the error")
    if len(model.bias) != 1:
        raise ValueError(f"the model has {len(model.bias)} replicas: expected one; see `trees.view`")
    read = sequences(documents)
    draws = (stream(seed, "docnade/orders", order).random(len(read.words)) for order in range(orders))
    each = torch.stack([docnade_log_prob(model, shuffled(read, draw))[0] for draw in draws])
    root = orders**0.5
    ensemble = each.logsumexp(0) - np.log(orders)
    return Orders(
        Scores(each.mean(0).numpy(), (each.std(0) / root).numpy(), "exact"),
        Scores(ensemble.numpy(), ((each - ensemble).exp().std(0) / root).numpy(), "estimate over orders"),
    )


def score_lda(model: Lda, documents: Counts, how: LeftToRight | None = None, seed: int = 0) -> Scores:
    """Left to right, from below. Errors: those of `left_to_right.log_prob`."""
    return Scores(*lda_log_prob(model, documents, how, seed), "left-to-right estimate")
