"""What contrastive divergence asks of the replicated softmax: a step of its Markov chain, the gradient of log p*."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from nvil_repro.models import bernoulli
from nvil_repro.models.replicated_softmax import (
    Documents,
    ReplicatedSoftmax,
    draw_words,
    hidden_logits,
    word_logits,
)


def reconstruct(
    model: ReplicatedSoftmax, x: Documents, hidden_uniforms: Tensor, word_uniforms: Tensor
) -> Documents:
    """Block Gibbs: h given x by uniforms [R or 1, B, H], then documents of the same lengths given h, a word for each
    uniform [R or 1, sum of the lengths].
    """
    h = bernoulli.sample(hidden_logits(model, x), hidden_uniforms)
    starts = torch.cat([x.starts[:1], x.lengths.long().cumsum(0)])
    words = draw_words(word_logits(model, h), starts, word_uniforms)
    return Documents(words, x.counts.new_ones(words.shape[1]), starts, x.lengths)


def gradient(model: ReplicatedSoftmax, x: Documents, shares: Tensor) -> ReplicatedSoftmax:
    """sum_b shares_b d log p*(x_b), h summed out: n h^T for W, D h for a and n for b, where h = p(h = 1 | x).

    Shares [B]. Costs what the entries cost, not the vocabulary.
    """
    h = torch.sigmoid(hidden_logits(model, x)) * shares[:, None]
    owners, counts = x.owners, x.counts * shares[x.owners]
    weight, bias = [], []
    for words, each in zip(x.words.expand(len(h), -1), h, strict=True):
        ordered, order = words.sort()
        starts = torch.searchsorted(ordered, torch.arange(model.bias.shape[-1] + 1))
        weight.append(
            embedding_bag(
                owners[order],
                each,
                starts,
                mode="sum",
                per_sample_weights=x.counts[order],
                include_last_offset=True,
            )
        )
        bias.append(torch.bincount(words, counts, model.bias.shape[-1]).to(counts.dtype))
    return ReplicatedSoftmax(torch.stack(weight), (x.lengths[:, None] * h).sum(1), torch.stack(bias))
