"""Belief networks of documents: `belief_net.BeliefNet` whose visible layer is `multinomial` (section 4.3 of the paper).

P(x | h^1) = softmax of W h^1 + b for every word; the inference network reads the counts themselves, centred by
their training mean. Every function of `belief_net` that knows the kind of the visible layer is told it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nvil_repro.data.counts import Counts
from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet, belief_net


def document_net(
    train: Counts,
    layers: Sequence[int],
    seeds: Sequence[int],
    *,
    architecture: Architecture = SBN,
    baseline_units: int = 100,
    dtype: torch.dtype = torch.float32,
) -> BeliefNet:
    """A fresh net of R = len(seeds) replicas, started as `belief_net.belief_net` starts them.

    But for the visible biases: they start at the log of the unigram of `train`, each word counted once more.
    Errors: `ValueError` for visibles that condition on one another; those of `belief_net`.
    """
    if architecture.visible:
        raise ValueError(
            "the words of a document are drawn independently given h: expected Architecture(visible=False)"
        )
    nothing = torch.zeros(train.vocabulary, dtype=torch.float64)
    net = belief_net(
        train.vocabulary,
        layers,
        seeds,
        train_mean=nothing,
        architecture=architecture,
        baseline_units=baseline_units,
        dtype=dtype,
    )
    totals = torch.from_numpy(train.word_totals()).double()
    net.generative[0].bias.copy_(torch.log((totals + 1) / (totals + 1).sum()).to(dtype))
    return net._replace(centre=(totals / train.documents).to(dtype))
