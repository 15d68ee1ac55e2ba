"""Distributions over all states of small models of bits: of data, of chains that began there, of what is far from it.

Probabilities are [R or 1, 2^D] in the order of `enumerate_bits`, float64.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from nvil_repro.evaluation.exact import CHUNK, enumerate_bits
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.models import bernoulli
from nvil_repro.models.rbm import Rbm, hidden_logits, visible_logits
from nvil_repro.models.unnormalised import Family, like

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])


def state_index(x: Tensor) -> Tensor:
    """Where cases [..., D] of bits stand in `enumerate_bits`: int64 [...]."""
    return (x.long() << torch.arange(x.shape[-1])).sum(-1)


def state_bits(index: Tensor, visible: int) -> Tensor:
    """The cases that stand there, int64: [...] -> [..., visible]."""
    return (index[..., None] >> torch.arange(visible)) & 1


def inverse_cdf(cumulative: Tensor, uniforms: Tensor) -> Tensor:
    """Where uniforms [C] fall among cumulative probabilities [..., S], as shares of their total: int64 [..., C]."""
    return torch.searchsorted(cumulative, uniforms.to(cumulative) * cumulative[..., -1:], right=True)


def over_states(x: Tensor, probabilities: Tensor) -> Tensor:
    """Probabilities [P] of patterns x [P, D] as those of all states, float64: [1, 2^D]."""
    p = torch.zeros(2 ** x.shape[-1], dtype=torch.float64)
    return p.index_add(0, state_index(x), probabilities.double())[None]


@torch.no_grad()
def after_steps(theta: Rbm, p: Tensor, steps: int) -> Tensor:
    """The distribution of chains of an RBM that began as p [R or 1, 2^D], `steps` steps of Gibbs sampling later:
    [R, 2^D], float64. From the data it is where CD-k ends, from 2^-D everywhere where naive sampling does.

    Enumerates visible times hidden states, a chunk of the visible ones at a time.
    """
    theta = like(theta, [part.double() for part in theta])
    visible, units = theta.visible_bias.shape[-1], theta.hidden_bias.shape[-1]
    hidden = enumerate_bits(units)[None]
    down = visible_logits(theta, hidden)
    chunks = [
        enumerate_bits(visible, i, min(i + CHUNK, 2**visible))[None] for i in range(0, 2**visible, CHUNK)
    ]
    p = p.double().expand(len(theta.weight), -1)
    for _ in range(steps):
        of_h: Any = 0
        for states, share in zip(chunks, p.split(CHUNK, -1), strict=True):
            up = _conditional(hidden_logits(theta, states), hidden)  # [R, C, 2^H]
            of_h = of_h + torch.matmul(share[:, None], up)[:, 0]
        parts = [torch.matmul(of_h[:, None], _conditional(down, states))[:, 0] for states in chunks]
        p = torch.cat(parts, -1)
    return p


def _conditional(logits: Tensor, states: Tensor) -> Tensor:
    """p(state | given) of independent bits with logits [R, C, n], for all of states [1, S, n]: [R, C, S]."""
    normaliser = bernoulli.softplus(logits).sum(-1, keepdim=True)
    return (torch.matmul(logits, states.mT) - normaliser).exp()


@torch.no_grad()
def expected_gradient(
    family: Family, theta: Theta, x: Tensor, probabilities: Tensor, negative: Tensor
) -> Theta:
    """E of positive less negative phase (equation 18.4): of data on patterns x [P, D] with these probabilities [P], and
    of chains at each state, in the order of `enumerate_bits`, with probabilities `negative` [R or 1, 2^D].

    `negative` = `state_probabilities` is maximum likelihood and PCD at rest, `after_steps` of the data is CD-k.
    """
    total = family.gradient(theta, x[None].to(theta[0]), probabilities[None].to(theta[0]))
    for start in range(0, negative.shape[-1], CHUNK):
        states = enumerate_bits(x.shape[-1], start, start + CHUNK, theta[0].dtype)[
            : negative.shape[-1] - start
        ]
        part = family.gradient(theta, states[None], -negative[:, start : start + CHUNK].to(theta[0]))
        total = like(theta, [t + p for t, p in zip(total, part, strict=True)])
    return total


@torch.no_grad()
def spurious_mass(family: Family, theta: Any, patterns: Tensor, radius: int) -> Tensor:
    """p of all states further than `radius` bits from each of the patterns [P, D], exact: [R].

    What chains that begin at the data, as CD's do, cannot see when they are short (Deep Learning, Figure 18.2).
    Errors: as `exact_partition.state_probabilities`.
    """
    p, total = state_probabilities(family, theta), []
    for start in range(0, p.shape[-1], CHUNK):
        share = p[:, start : start + CHUNK]
        states = enumerate_bits(patterns.shape[-1], start, start + share.shape[-1])
        total.append((share * (_distance(states, patterns) > radius)).sum(-1))
    return torch.stack(total).sum(0)


def _distance(states: Tensor, patterns: Tensor) -> Tensor:
    """Hamming distance of each state [C, D] to the nearest of the patterns [P, D]: [C]."""
    y = patterns.to(states)
    return (states @ (1 - y).T + (1 - states) @ y.T).amin(-1)
