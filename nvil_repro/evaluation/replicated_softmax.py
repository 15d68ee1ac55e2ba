"""The likelihood of the replicated softmax: log Z_D of every length, exactly or by annealing, and documents' log p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.evaluation.annealed_importance import AnnealedEstimate, estimate
from nvil_repro.evaluation.exact import CHUNK, LIMIT, enumerate_bits
from nvil_repro.evaluation.length_annealing import anneal, document_chains, free_chains, length_ladder, step
from nvil_repro.models.replicated_softmax import (
    ReplicatedSoftmax,
    documents,
    hidden_logits,
    log_unnormalised,
    word_logits,
)
from nvil_repro.trees import view

Lengths: TypeAlias = Sequence[int] | NDArray[np.int64]

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
def exact_log_partition(model: ReplicatedSoftmax, lengths: Lengths) -> Tensor:
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
        h = enumerate_bits(hidden, start, min(start + CHUNK, 2**hidden), model.bias.dtype)
        total = torch.logaddexp(total, _log_terms(model, h[None], d).logsumexp(-1))
    return total


@torch.no_grad()
def log_partition_floor(model: ReplicatedSoftmax, lengths: Lengths, known: Counts) -> Tensor:
    """What log Z_D of the given lengths certainly exceeds, in nats, float64: [R, L].

    Z_D is a sum over hidden states; this is its part from those nearest to p(h = 1 | x) of the documents `known`.
    Errors: `ValueError` for a length below 1, or if the vocabularies differ.
    """
    _check_vocabulary(model, known)
    d, x, floors = _checked(lengths).double(), documents(known, model.bias.dtype), []
    for one in (view(model, r) for r in range(len(model.bias))):
        states = (hidden_logits(one, x)[0] > 0).to(x.counts.dtype).unique(dim=0)
        parts = [_log_terms(one, h[None], d).logsumexp(-1) for h in states.split(CHUNK)]
        floors.append(torch.stack(parts).logsumexp(0))
    return torch.cat(floors)


@torch.no_grad()
def log_partition(
    model: ReplicatedSoftmax,
    lengths: Lengths,
    known: Counts | None = None,
    *,
    chains: int = 100,
    rungs: int = 1000,
    seed: int = 0,
) -> Partition:
    """log Z_D of the given lengths by annealed importance sampling, all from the same chains; see `length_annealing`.

    Where chains miss a mode the estimate is too low, and flatters the model. Given documents `known`, neither it nor
    its interval falls below `log_partition_floor`. Replicas share uniforms.
    Errors: `ValueError` for a length below 1, fewer than two chains or rungs, parameters that are not finite, or if
    the vocabularies differ.
    """
    d = _checked(lengths).unique()
    ladder = length_ladder(d.tolist(), rungs)
    log_weights, _ = anneal(model, ladder, free_chains(model, chains, seed), seed)
    log_z = estimate(_log_z0(model, d), log_weights[np.searchsorted(ladder, d.numpy())].permute(1, 0, 2))
    return Partition(d, log_z) if known is None else raised(model, Partition(d, log_z), known)


@torch.no_grad()
def raised(model: ReplicatedSoftmax, partition: Partition, known: Counts) -> Partition:
    """With log Z_D and both ends of its interval at least `log_partition_floor` of the documents `known`."""
    floor, z = log_partition_floor(model, partition.lengths.numpy(), known), partition.log_z
    log_z, lower, upper = (torch.maximum(value, floor) for value in (z.log_z, z.lower, z.upper))
    return Partition(partition.lengths, AnnealedEstimate(log_z, lower, upper, z.effective_samples))


@torch.no_grad()
def log_partition_from_above(
    model: ReplicatedSoftmax,
    lengths: Lengths,
    begin: Counts,
    *,
    chains: int = 100,
    rungs: int = 1000,
    burn_in: int = 100,
    seed: int = 0,
) -> Partition:
    """log Z_D of the given lengths by reverse annealing, all from the same chains.

    They begin at documents of `begin`, take `burn_in` steps at the longest length and fall to no word; what they gather
    from D downwards makes log Z_D. Chains that pass D as samples of p_D make it too high on average, where
    `log_partition` makes it too low. Chains that cannot leave where documents led them make it too low as well: what
    tells is that it falls below the other.
    Errors: `ValueError` as `log_partition`, or for no document to begin at.
    """
    _check_vocabulary(model, begin)
    d, name = _checked(lengths).unique(), "reverse annealing"
    ladder = length_ladder(d.tolist(), rungs)[::-1]
    state = document_chains(model, begin, chains, seed)
    for n in range(burn_in):
        state = step(model, state, ladder[0], seed, name, len(ladder) + n)
    log_weights, _ = anneal(model, ladder, state, seed, name)
    below = log_weights[-1] - log_weights[np.searchsorted(-ladder, -d.numpy())]
    return Partition(d, estimate(_log_z0(model, d), below.permute(1, 0, 2), falling=True))


@torch.no_grad()
def log_prob(model: ReplicatedSoftmax, counts: Counts, partition: Partition) -> LogProb:
    """log p of each document's words in any one order, no multinomial coefficient.

    Errors: `ValueError` if the vocabularies differ, or a document has a length of which `partition` knows no log Z.
    """
    _check_vocabulary(model, counts)
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


def _log_terms(model: ReplicatedSoftmax, h: Tensor, d: Tensor) -> Tensor:
    """D g(h), the logarithms of what hidden states [R or 1, S, H] contribute to Z_D: [R, L, S]."""
    g = torch.matmul(h, model.hidden_bias[..., None])[..., 0] + word_logits(model, h).logsumexp(-1)
    return g.double()[:, None] * d[:, None]


def _log_z0(model: ReplicatedSoftmax, d: Tensor) -> Tensor:
    """H log 2, and the log sum_k exp(b_k) that every word has before W is counted: [R, L]."""
    return model.hidden_bias.shape[-1] * math.log(2) + model.bias.logsumexp(-1, keepdim=True).double() * d


def _checked(lengths: Lengths) -> Tensor:
    d = torch.as_tensor(lengths).long()
    if not len(d) or int(d.min()) < 1:
        raise ValueError(f"lengths={list(lengths)}: expected at least one, each of at least 1 word")
    return d


def _check_vocabulary(model: ReplicatedSoftmax, counts: Counts) -> None:
    if counts.vocabulary != model.bias.shape[-1]:
        raise ValueError(
            f"the documents count {counts.vocabulary:,} words and the model knows {model.bias.shape[-1]:,}: "
            "expected the same; build both from one corpus"
        )
