"""The replicated softmax (Salakhutdinov & Hinton 2009), an undirected model of documents, R replicas at a time.

E(x, h) = -sum_kj W_kj h_j n_k - sum_k b_k n_k - D sum_j a_j h_j for a document x of D words, n_k of them being word k.

x is the *sequence* of words: no multinomial coefficient, and Z_D, one for each length, sums over all V^D sequences:
p(x) = sum_h exp(-E(x, h)) / Z_D, where Z_D = sum_h exp(D a.h) (sum_k exp(b_k + W_k.h))^D.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from nvil_repro import streams
from nvil_repro.data.counts import Counts
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.unigram import Unigram


class ReplicatedSoftmax(NamedTuple):
    """Parameters of R models of V words with H hidden units."""

    weight: Tensor  # W [R, V, H], a row for each word
    hidden_bias: Tensor  # a [R, H]
    bias: Tensor  # b [R, V]


class Documents(NamedTuple):
    """B documents of M entries in all; document b has counts[i] times word words[:, i], starts[b] <= i < starts[b + 1].

    A word may come in several entries.
    """

    words: Tensor  # int64 [R or 1, M]
    counts: Tensor  # [M], in the dtype of the model
    starts: Tensor  # int64 [B + 1]
    lengths: Tensor  # D [B], the sum of the counts

    @property
    def owners(self) -> Tensor:
        """The document of every entry: int64 [M]."""
        return torch.repeat_interleave(self.starts.diff())


def replicated_softmax(
    hidden: int, seeds: Sequence[int], *, words: Unigram, dtype: torch.dtype = torch.float32
) -> ReplicatedSoftmax:
    """A fresh model of R = len(seeds) replicas: W normal with standard deviation 1/100, a zero and b those of `words`.

    So its documents are nearly those of the unigram model. Errors: `ValueError` if `hidden` is not positive or there
    is no seed.
    """
    if hidden < 1 or not seeds:
        raise ValueError(f"need hidden units and at least one seed, got hidden={hidden}, seeds={seeds}")
    shape = (len(words.log_p), hidden)
    weights = [streams.normals(seed, "init/replicated softmax", 0, shape, dtype) for seed in seeds]
    return ReplicatedSoftmax(
        torch.stack(weights) * 0.01,
        torch.zeros(len(seeds), hidden, dtype=dtype),
        torch.from_numpy(words.log_p).to(dtype).repeat(len(seeds), 1),
    )


def documents(counts: Counts, dtype: torch.dtype = torch.float32) -> Documents:
    """Sparse counts as the model reads them."""
    return Documents(
        torch.from_numpy(counts.words.astype(np.int64))[None],
        torch.from_numpy(counts.counts).to(dtype),
        torch.from_numpy(counts.starts),
        torch.from_numpy(counts.lengths).to(dtype),
    )


def hidden_logits(model: ReplicatedSoftmax, x: Documents) -> Tensor:
    """Logits of p(h_j = 1 | x): D a_j + sum_k n_k W_kj, [R, B, H]."""
    rows = x.words.expand(len(model.weight), -1)
    sums = [
        embedding_bag(
            words, weight, x.starts, mode="sum", per_sample_weights=x.counts, include_last_offset=True
        )
        for words, weight in zip(rows, model.weight, strict=True)
    ]
    return torch.stack(sums) + x.lengths[:, None] * model.hidden_bias[:, None]


def word_logits(model: ReplicatedSoftmax, h: Tensor) -> Tensor:
    """Logits of the softmax that every word is drawn from given h, b_k + W_k.h: [R, B, H] -> [R, B, V]."""
    return torch.matmul(h, model.weight.mT) + model.bias[:, None]


def log_unnormalised(model: ReplicatedSoftmax, x: Documents) -> Tensor:
    """log sum_h exp(-E(x, h)) = b.n + sum_j softplus(D a_j + sum_k n_k W_kj) in nats: [R, B]; differentiable.

    log p(x) is this less log Z_D, for which see `evaluation.replicated_softmax`.
    """
    terms = torch.take_along_dim(model.bias, x.words, 1) * x.counts
    visible = terms.new_zeros(len(terms), len(x.lengths)).index_add(1, x.owners, terms)
    return visible + softplus(hidden_logits(model, x)).sum(-1)


def draw_words(logits: Tensor, starts: Tensor, uniforms: Tensor) -> Tensor:
    """A word for each uniform, by inversion: entries starts[b] <= i < starts[b + 1] from the softmax of document b.

    Logits [R, B, V], starts int64 [B + 1], uniforms in [0, 1) [R or 1, M] -> int64 [R, M].
    """
    edges = logits.softmax(-1).cumsum(-1).numpy()
    u = uniforms.expand(len(edges), -1).numpy()
    words = np.empty(u.shape, np.int64)
    for r, rows in enumerate(edges):
        for row, (begin, end) in zip(rows, pairwise(starts.tolist()), strict=True):
            words[r, begin:end] = row.searchsorted(u[r, begin:end] * row[-1], "right")
    return torch.from_numpy(words.clip(max=logits.shape[-1] - 1))  # where rounding takes a uniform to one
