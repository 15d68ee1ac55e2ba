"""Log-weights log P(x, h) - log Q(h | x) of many samples per case: what bounds and estimates are made of.

Case n draws its samples from the stream (seed, name, n), a row of uniforms per sample. So its samples
depend on the seed, its position and the parameters alone: not on the batch or chunk it is computed in, not
on how many cases follow, not on which replicas ride along (they share the uniforms); and K samples begin
with the first k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from nvil_repro.models import bernoulli
from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.models.belief_net import BeliefNet, Visible
from nvil_repro.models.linear import Conditional
from nvil_repro.streams import stream
from nvil_repro.trees import view

ELEMENTS = 1 << 18  # of a chunk's largest array: few enough to stay in cache, enough to amortise a call
Weigh = Callable[[BeliefNet, Tensor, Tensor], Tensor]  # net, x and uniforms to log-weights


@torch.no_grad()
def log_weights(net: BeliefNet, x: Tensor, uniforms: Tensor, visible: Visible = bernoulli) -> Tensor:
    """log P(x, h) - log Q(h | x) of K samples h ~ Q(h | x) per case, in nats: [R, C, K].

    `x` [C, D] in the dtype of the parameters; `uniforms` [C, K, H_1 + ... + H_L], the layers side by side.
    The logits of the first layer, which all samples of a case share, are computed once per case.
    """
    first, *deeper = uniforms.split(net.layers, -1)
    shape = (net.replicas, *uniforms.shape[:2])
    q = net.recognition[0]
    below, log_q = q.draw(q.feedforward(x - net.centre)[:, :, None], first)
    weights = _log_prob_shared(net.generative[0], below, x, visible) - log_q
    below = below.flatten(1, 2)
    for q, p, uniform in zip(net.recognition[1:], net.generative[1:], deeper, strict=True):
        above, log_q = q.draw(q.feedforward(below), uniform.flatten(0, 1))
        weights += (bernoulli.log_prob(p.logits(above, below), below) - log_q).view(shape)
        below = above
    return weights + bernoulli.log_prob(net.top.logits(below[..., :0], below), below).view(shape)


def weight_chunks(
    net: BeliefNet,
    x: Tensor,
    samples: int,
    seed: int,
    name: str,
    first: int = 0,
    chunk: int | None = None,
    weigh: Weigh | None = None,
) -> Iterator[tuple[slice, Iterator[Tensor]]]:
    """Cases in groups: which they are [C], and their log-weights in pieces [R, C, k], k summing to K.

    Case 0 of `x` [N, D] uses stream index `first`. No piece holds more than `chunk` samples, all its cases
    together; by default as many as keep the largest array of a replica at `ELEMENTS` elements. `weigh` is
    `log_weights`, told of another kind of visible layer if need be.
    """
    chunk = chunk or max(1, ELEMENTS // max(len(net.centre), *net.layers))
    group = max(1, chunk // samples)
    nets = [view(net, r) for r in range(net.replicas)]
    for start in range(0, len(x), group):
        cases = slice(start, min(start + group, len(x)))
        yield cases, _chunks(nets, x[cases], samples, seed, name, first + start, chunk, weigh or log_weights)


def _chunks(
    nets: list[BeliefNet], x: Tensor, samples: int, seed: int, name: str, first: int, chunk: int, weigh: Weigh
) -> Iterator[Tensor]:
    """Replica by replica, as a batched product may round differently for another number of replicas."""
    like = nets[0].prior
    generators = [stream(seed, name, first + i) for i in range(len(x))]
    dtype = np.float64 if like.dtype == torch.float64 else np.float32
    x = x.to(like)
    for done in range(0, samples, chunk):
        shape = (min(chunk, samples - done), sum(nets[0].layers))
        uniforms = torch.from_numpy(np.stack([g.random(shape, dtype=dtype) for g in generators])).to(like)
        yield torch.cat([weigh(net, x, uniforms) for net in nets])


def _log_prob_shared(p: Conditional, h: Tensor, x: Tensor, visible: Visible) -> Tensor:
    """log P(x | h) of h [R, C, K, H] and x [C, D], shared by the K samples: [R, C, K]."""
    logits = p.feedforward(h.flatten(1, 2)).view(*h.shape[:-1], -1)
    if p.autoregressive:
        logits = logits + torch.matmul(x, strictly_upper(p.lateral))[:, :, None]
    return torch.matmul(logits, x[..., None]).squeeze(-1) - visible.log_normaliser(logits, x[:, None])
