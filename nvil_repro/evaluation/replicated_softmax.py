"""The likelihood of the replicated softmax: log Z_D of every length, exactly or by annealing, and documents' log p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.evaluation.annealed_importance import AnnealedEstimate, estimate
from nvil_repro.evaluation.exact import CHUNK, LIMIT, enumerate_bits
from nvil_repro.evaluation.length_annealing import anneal, chains_at, free_chains, length_ladder, step
from nvil_repro.models.replicated_softmax import ReplicatedSoftmax, documents, log_unnormalised, word_logits

CASES = 10_000  # documents at once, which bounds the memory


class Partition(NamedTuple):
    """log Z_D, in nats, of R models at L lengths D."""

    lengths: Tensor  # D [L], int64, rising
    log_z: AnnealedEstimate  # [R, L]


class LogProb(NamedTuple):
    """log p of N documents in nats, float64, each [R, N]; the interval is that of log Z_D."""

    value: Tensor
    lower: Tensor
    upper: Tensor


@torch.no_grad()
def exact_log_partition(model: ReplicatedSoftmax, lengths: Sequence[int]) -> Tensor:
    """log Z_D of the given lengths by enumerating h, in nats, float64: [R, L].

    Errors: `ValueError` for a length below 1, or more than `LIMIT` hidden states.
    """
    d, hidden = _checked(lengths).double(), model.hidden_bias.shape[-1]
    if 2**hidden > LIMIT:
        raise ValueError(
            f"{hidden} hidden units have 2^{hidden} states, and enumeration stops at {LIMIT:,}: use log_partition"
        )
    total = torch.full((len(model.bias), len(d)), -math.inf, dtype=torch.float64)
    for start in range(0, 2**hidden, CHUNK):
        h = enumerate_bits(hidden, start, min(start + CHUNK, 2**hidden), model.bias.dtype)[None]
        g = torch.matmul(h, model.hidden_bias[..., None])[..., 0] + word_logits(model, h).logsumexp(-1)
        total = torch.logaddexp(total, (g.double()[:, None] * d[:, None]).logsumexp(-1))
    return total


@torch.no_grad()
def log_partition(
    model: ReplicatedSoftmax, lengths: Sequence[int], *, chains: int = 100, rungs: int = 1000, seed: int = 0
) -> Partition:
    """log Z_D of the given lengths by annealed importance sampling, all from the same chains; see `length_ladder`.

    Replicas share uniforms. Errors: `ValueError` for a length below 1, fewer than two chains or rungs, or parameters
    that are not finite.
    """
    d = _checked(lengths).unique()
    ladder = length_ladder(d.tolist(), rungs)
    log_weights, _ = anneal(model, ladder, free_chains(model, chains, seed), seed)
    at = log_weights[np.searchsorted(ladder, d.numpy())].permute(1, 0, 2)
    return Partition(d, estimate(_log_z0(model, d), at))


@torch.no_grad()
def bracket(
    model: ReplicatedSoftmax, length: int, *, chains: int = 100, rungs: int = 1000, seed: int = 0
) -> tuple[AnnealedEstimate, AnnealedEstimate]:
    """log Z_D of one length from below, as `log_partition`, and from above: down the ladder again from p_D, [R] each.

    Samples of p_D are the chains that came up, resampled by their weights. So modes that all of them missed are missed
    by both estimates, and what the bracket shows is the error of annealing between those they found.
    """
    d = _checked([length])
    ladder = length_ladder([length], rungs)
    log_weights, top = anneal(model, ladder, free_chains(model, chains, seed), seed)
    edges = log_weights[-1].softmax(-1).cumsum(-1)
    systematic = (torch.arange(chains) + 0.5).div(chains).expand_as(edges).contiguous()
    chosen = torch.searchsorted(edges, systematic).clamp_max(chains - 1)
    begin = chains_at(model, torch.take_along_dim(top.h, chosen[..., None], 1))
    falling, _ = anneal(model, ladder[::-1], step(model, begin, length, seed, len(ladder)), seed + 1)
    log_z0 = _log_z0(model, d)[:, 0]
    return estimate(log_z0, log_weights[-1]), estimate(log_z0, falling[-1], falling=True)


@torch.no_grad()
def log_prob(model: ReplicatedSoftmax, counts: Counts, partition: Partition) -> LogProb:
    """log p of each document's words in any one order, no multinomial coefficient.

    Errors: `ValueError` if the vocabularies differ, or a document has a length of which `partition` knows no log Z.
    """
    if counts.vocabulary != model.bias.shape[-1]:
        raise ValueError(
            f"the documents count {counts.vocabulary:,} words and the model knows {model.bias.shape[-1]:,}: "
            "expected the same; build both from one corpus"
        )
    lengths = torch.from_numpy(counts.lengths)
    at = torch.searchsorted(partition.lengths, lengths).clamp_max(len(partition.lengths) - 1)
    missing = partition.lengths[at] != lengths
    if bool(missing.any()):
        raise ValueError(
            f"log Z is not known for documents of {int(lengths[missing][0])} words: "
            "give log_partition the lengths of all documents"
        )
    parts = np.array_split(np.arange(counts.documents), 1 + counts.documents // CASES)
    rows = [log_unnormalised(model, documents(counts.take(n), model.bias.dtype)).double() for n in parts]
    value, z = torch.cat(rows, -1), partition.log_z
    return LogProb(value - z.log_z[:, at], value - z.upper[:, at], value - z.lower[:, at])


def _log_z0(model: ReplicatedSoftmax, d: Tensor) -> Tensor:
    """H log 2, and the log sum_k exp(b_k) that every word has before W is counted: [R, L]."""
    return model.hidden_bias.shape[-1] * math.log(2) + model.bias.logsumexp(-1, keepdim=True).double() * d


def _checked(lengths: Sequence[int]) -> Tensor:
    d = torch.as_tensor(lengths).long()
    if not len(d) or int(d.min()) < 1:
        raise ValueError(f"lengths={list(lengths)}: expected at least one, each of at least 1 word")
    return d
