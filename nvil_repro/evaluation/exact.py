"""Exact values for small nets, by enumerating every state of the hidden units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nvil_repro.models import bernoulli
from nvil_repro.models.arrays import bits
from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.models.belief_net import BeliefNet

LIMIT = 1 << 20  # states
CHUNK = 1 << 8  # states held at a time
CASES = 1 << 3  # cases held with each of them where visibles are autoregressive

Bits = tuple[Tensor, ...]  # h^1..h^L


def enumerate_bits(
    n: int, start: int = 0, stop: int | None = None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """States `start` to `stop` (by default all 2^n) of n bits, in binary order, first bit lowest: [C, n]."""
    index = torch.arange(start, 2**n if stop is None else stop)
    return ((index[:, None] >> torch.arange(n)) & 1).to(dtype)


@torch.no_grad()
def exact_log_likelihood(net: BeliefNet, x: Tensor) -> Tensor:
    """log P(x) = log sum_h P(x, h) of every case of `x` [N, D] (zeros and ones), in nats: [R, N].

    Errors: `ValueError` if `x` does not fit the net, or if the net has more than `LIMIT` hidden states.
    """
    x = bits("x", x, len(net.centre)).to(net.prior)
    total = torch.tensor(-math.inf, dtype=net.prior.dtype, device=net.prior.device)
    for h in hidden_states(net):
        total = torch.logaddexp(total, _log_p(net, x, h).logsumexp(-1))
    return total


@torch.no_grad()
def exact_bound(net: BeliefNet, x: Tensor) -> Tensor:
    """L(x) = E_Q[log P(x, h) - log Q(h | x)] (equation 2) of every case of `x` [N, D], in nats: [R, N].

    Errors: as `exact_log_likelihood`.
    """
    x = bits("x", x, len(net.centre)).to(net.prior)
    total = net.prior.new_zeros(())
    for h in hidden_states(net):
        log_q = _log_q(net, x, h)
        total = total + (log_q.exp() * (_log_p(net, x, h) - log_q)).sum(-1)
    return total


@torch.no_grad()
def exact_expectation(net: BeliefNet, x: Tensor, function: Callable[[Bits], Tensor]) -> Tensor:
    """E_Q[f(h)] of every case of `x` [N, D] (zeros and ones): [R, N, ...].

    `function` maps states h^i [1, C, H_i] to [R or 1, C, ...]. If it depends on
    x as well, give one case at a time.
    Errors: as `exact_log_likelihood`.
    """
    x = bits("x", x, len(net.centre)).to(net.prior)
    total = net.prior.new_zeros(())
    for h in hidden_states(net):
        values = function(h)
        columns = values.flatten(2) if values.ndim > 2 else values[..., None]
        mean = torch.matmul(_log_q(net, x, h).exp(), columns)
        total = total + mean.view(*mean.shape[:2], *values.shape[2:])
    return total


def hidden_states(net: BeliefNet) -> Iterator[Bits]:
    """Every state of the hidden units, a chunk at a time: h^i [1, C, H_i].

    Errors: `ValueError` with the number of states and what to use instead, if there are more than `LIMIT`.
    """
    units = sum(net.layers)
    if 2**units > LIMIT:
        raise ValueError(
            f"hidden layers {net.layers} have 2^{units} states, and enumeration stops at {LIMIT:,}: "
            "use evaluation.importance.importance_estimate, or a smaller net"
        )
    for start in range(0, 2**units, CHUNK):
        h = enumerate_bits(units, start, min(start + CHUNK, 2**units), net.prior.dtype).to(net.prior.device)
        yield h[None].split(net.layers, -1)


def _log_p(net: BeliefNet, x: Tensor, h: Bits) -> Tensor:
    """log P(x, h) of every case with every state: [N, D], h^i [1, C, H_i] -> [R, N, C]."""
    visible, *deeper = (*net.generative, net.top)
    above = (*h[1:], h[-1][..., :0])
    rows = zip(deeper, above, h, strict=True)
    prior = sum((bernoulli.log_prob(p.logits(a, bits), bits) for p, a, bits in rows), start=x.new_zeros(()))
    logits = visible.feedforward(h[0])
    if visible.autoregressive:
        lateral = torch.matmul(x, strictly_upper(visible.lateral))
        some = zip(x.split(CASES), lateral.split(CASES, 1), strict=True)
        terms = [bernoulli.log_prob(logits[:, None] + seen[:, :, None], v[:, None]) for v, seen in some]
        return torch.cat(terms, 1) + prior[:, None]
    return torch.matmul(x, logits.mT) + (prior - bernoulli.softplus(logits).sum(-1))[:, None]


def _log_q(net: BeliefNet, x: Tensor, h: Bits) -> Tensor:
    """log Q(h | x) of every case with every state: [N, D], h^i [1, C, H_i] -> [R, N, C]."""
    lowest, *deeper = net.recognition
    rows = zip(deeper, h, h[1:], strict=False)
    terms = [bernoulli.log_prob(q.logits(below, above), above)[:, None] for q, below, above in rows]
    rest = sum(terms, start=x.new_zeros(()))
    logits = lowest.feedforward(x - net.centre)
    if lowest.autoregressive:
        lateral = torch.matmul(h[0], strictly_upper(lowest.lateral))
        return rest + bernoulli.log_prob(logits[:, :, None] + lateral[:, None], h[0][:, None])
    return rest + torch.matmul(logits, h[0].mT) - bernoulli.softplus(logits).sum(-1, keepdim=True)
