"""Annealing the replicated softmax over the length of its documents.

The hidden units of documents of D words have the density p_D(h) = exp(D g(h)) / Z_D, g(h) = a.h + log sum_k exp(b_k +
W_k.h), and Z_0 = 2^H. So the length is an inverse temperature: chains whose documents grow from no word to the longest
length pass every length on the way, and one run of annealed importance sampling gives an estimate, with its interval,
for each. Between whole lengths the last word counts for a fraction c, its softmax being that of b_k + c W_k.h. Factors
are divided by sum_k exp(b_k), their value without W, so that the densities join up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.evaluation.annealed_importance import annealed_log_weights
from nvil_repro.models import bernoulli
from nvil_repro.models.replicated_softmax import (
    Documents,
    ReplicatedSoftmax,
    documents,
    draw_words,
    hidden_logits,
)
from nvil_repro.streams import stream, uniforms

DENSE = 8.0  # words: the rungs' distance grows with the length beyond this one


class Chains(NamedTuple):
    """C chains of each of R models."""

    h: Tensor  # [R, C, H]
    fields: Tensor  # W_k.h [R, C, V]


def length_ladder(lengths: Sequence[int], rungs: int) -> NDArray[np.float64]:
    """Lengths from 0 to the longest, every one of `lengths` among them: rising by equal parts of a word at first, and
    by equal ratios well beyond `DENSE` words; whole where the steps are half a word and more, which is cheaper.

    Errors: `ValueError` for fewer than two rungs.
    """
    if rungs < 2:
        raise ValueError(f"rungs={rungs}: expected at least 2, from no word to the longest length")
    ladder = DENSE * np.expm1(np.linspace(0, math.log1p(max(lengths) / DENSE), rungs))
    ladder = np.where(np.gradient(ladder) < 0.5, ladder, ladder.round())
    return np.unique(np.concatenate([[0.0], ladder[ladder < max(lengths)], lengths]))


def free_chains(model: ReplicatedSoftmax, chains: int, seed: int) -> Chains:
    """Samples of p_0(h), in which every state is equally probable. Errors: `ValueError` for fewer than two chains."""
    _check_chains(chains)
    replicas, hidden = model.hidden_bias.shape
    h = (uniforms(seed, "annealing/start", 0, (chains, hidden)) < 0.5).to(model.bias.dtype)
    return chains_at(model, h.expand(replicas, -1, -1))


def document_chains(model: ReplicatedSoftmax, begin: Counts, chains: int, seed: int) -> Chains:
    """Samples of p(h | x) of random documents x among `begin`, at their own lengths.

    Errors: `ValueError` for fewer than two chains, or no document.
    """
    _check_chains(chains)
    if not begin.documents:
        raise ValueError("no documents to begin at: expected at least one")
    chosen = stream(seed, "reverse annealing/documents").integers(begin.documents, size=chains)
    logits = hidden_logits(model, documents(begin.take(chosen), model.bias.dtype))
    u = uniforms(seed, "reverse annealing/start", 0, logits.shape[1:], logits.dtype)
    return chains_at(model, bernoulli.sample(logits, u))


def _check_chains(chains: int) -> None:
    if chains < 2:
        raise ValueError(f"chains={chains}: expected at least 2, or there is no interval")


def chains_at(model: ReplicatedSoftmax, h: Tensor) -> Chains:
    """Chains in the states h [R, C, H]."""
    return Chains(h, torch.matmul(h, model.weight.mT))


def anneal(
    model: ReplicatedSoftmax, ladder: NDArray[np.float64], chains: Chains, seed: int, name: str = "annealing"
) -> tuple[Tensor, Chains]:
    """log w at every rung, [K, R, C], and the chains at the end; rung k draws from the streams (seed, name, k)."""
    return annealed_log_weights(
        ladder.tolist(),
        chains,
        partial(log_ratio, model),
        lambda state, length, rung: step(model, state, length, seed, name, rung),
        end=max(ladder),
    )


def step(model: ReplicatedSoftmax, chains: Chains, length: float, seed: int, name: str, rung: int) -> Chains:
    """Block Gibbs by the uniforms of the stream: words given h, then h given the words."""
    cases, hidden = chains.h.shape[1:]
    words = uniforms(seed, f"{name}/words", rung, (cases, math.ceil(length)))
    units = uniforms(seed, f"{name}/hidden", rung, (cases, hidden), model.bias.dtype)
    return chains_at(model, gibbs(model, chains, length, words, units))


def log_ratio(model: ReplicatedSoftmax, chains: Chains, a: float, b: float) -> Tensor:
    """log f_b(h) - log f_a(h) of every chain, f_d the density of h for documents of d words: float64 [R, C]."""
    (part_a, whole_a), (part_b, whole_b) = math.modf(a), math.modf(b)
    unweighted = model.bias.logsumexp(-1, keepdim=True)
    total = (b - a) * torch.matmul(chains.h, model.hidden_bias[..., None])[..., 0].double()
    for times, c in ((whole_b - whole_a, 1.0), (1, part_b), (-1, part_a)):
        if times and c:
            word = torch.add(model.bias[:, None], chains.fields, alpha=c).logsumexp(-1)
            total += times * (word - unweighted)
    return total


def gibbs(
    model: ReplicatedSoftmax, chains: Chains, length: float, word_uniforms: Tensor, hidden_uniforms: Tensor
) -> Tensor:
    """h' [R, C, H] given words given h: a step that leaves f_length as it is.

    Uniforms [C, the length rounded up], the last for the word that counts for a fraction, and [C, H].
    """
    part, whole = math.modf(length)
    cases, size = word_uniforms.shape
    full, bias = int(whole), model.bias[:, None]
    words, counts = [], bias.new_ones(cases, size)
    for c, u in ((1.0, word_uniforms[:, :full]), (part, word_uniforms[:, full:])):
        if u.numel():
            each = torch.arange(cases + 1) * u.shape[1]
            drawn = draw_words(torch.add(bias, chains.fields, alpha=c), each, u.reshape(1, -1))
            words.append(drawn.unflatten(-1, u.shape))
    counts[:, full:] = part
    starts = torch.arange(cases + 1) * size
    x = Documents(torch.cat(words, -1).flatten(1), counts.flatten(), starts, bias.new_full((cases,), length))
    return bernoulli.sample(hidden_logits(model, x), hidden_uniforms)
