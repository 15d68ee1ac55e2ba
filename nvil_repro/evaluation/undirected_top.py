"""The bound of a belief net with an undirected top, with the log Z that it lacks exact or annealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.bounds import Bound
from nvil_repro.evaluation.exact import LIMIT
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.general_bounds import bound_of
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.partition import ais
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.evaluation.weights import weight_chunks
from nvil_repro.models.arrays import bits
from nvil_repro.models.belief_net import BeliefNet, sample_q
from nvil_repro.models.rbm import RBM
from nvil_repro.models.undirected_top import DeepBeliefNet, log_weight
from nvil_repro.streams import uniforms
from nvil_repro.trees import view

CASES = 1000  # whose h^L tell where annealing begins


class TopBound(NamedTuple):
    """E_Q[log P(x, h) - log Q(h | x)] with the estimate of log Z plugged in, in nats, and what that one leaves open."""

    bound: Bound
    log_z: PartitionEstimate

    @property
    def lower(self) -> Tensor:
        """The bound if log Z is at the upper end of its interval: [R]."""
        return self.bound.value + self.log_z.log_z - self.log_z.upper

    @property
    def upper(self) -> Tensor:
        """The bound if log Z is at the lower end: [R]."""
        return self.bound.value + self.log_z.log_z - self.log_z.lower


def estimate_bound(
    model: DeepBeliefNet,
    x: Tensor,
    log_z: PartitionEstimate,
    *,
    samples: int = 10,
    seed: int = 0,
    name: str = "bound",
) -> TopBound:
    """The bound of `x` [N, D] (zeros and ones) from `samples` draws h ~ Q(h | x) per case, given log Z of its top.

    Case n draws from the stream (seed, name, n), shared by all replicas; see `evaluation.weights`.
    Errors: `ValueError` if `x` is not [N, D] of zeros and ones, or for fewer than two samples.
    """
    if samples < 2:
        raise ValueError(f"samples={samples}: expected at least 2, or there is no sampling error")
    x = bits("x", x, len(model.net.centre))
    alone = [view(model, r) for r in range(model.net.replicas)]
    each = [bound_of(_log_weights(one, x, samples, seed, name)) for one in alone]
    value, stderr, sampling, _, per_case = zip(*each, strict=True)
    bound = Bound(
        torch.cat(value) - log_z.log_z,
        torch.cat(stderr),
        torch.cat(sampling),
        len(x),
        torch.cat(per_case) - log_z.log_z[:, None],
    )
    return TopBound(bound, log_z)


@torch.no_grad()
def top_log_partition(
    model: DeepBeliefNet,
    x: Tensor,
    *,
    ladder: Sequence[float] | None = None,
    chains: int = 100,
    seed: int = 0,
    limit: int = LIMIT,
) -> PartitionEstimate:
    """log Z of the machine on top: exact if its smaller side has at most `limit` states, else annealed from independent
    units with the means of h^L ~ Q(h | x) at the first cases of `x` [N, D], over 1,000 even rungs if none are given.

    Errors: `ValueError` as `exact_log_partition`, `ais`.
    """
    if 2 ** min(model.weight.shape[1:]) <= limit:
        log_z = exact_log_partition(RBM, model.top)
        return PartitionEstimate("exact", log_z, log_z, log_z, torch.full_like(log_z, torch.inf))
    some, sizes, found = x[:CASES].to(model.weight)[None], model.net.layers, []
    draws = uniforms(seed, "top/mean", 0, (1, some.shape[1], sum(sizes)), some.dtype)
    for one in (view(model, r) for r in range(model.net.replicas)):
        mean = sample_q(one.net, some, draws.split(sizes, -1))[-1].mean((0, 1))
        ladder = ladder or uniform_ladder(1_000)
        found.append(ais(RBM, one.top, ladder=ladder, chains=chains, mean=mean, seed=seed))
    return PartitionEstimate(
        "AIS", *(torch.cat(column) for column in zip(*(e[1:] for e in found), strict=True))
    )


def _log_weights(model: DeepBeliefNet, x: Tensor, samples: int, seed: int, name: str) -> Tensor:
    """log P*(x, h) - log Q(h | x) of the samples of every case, R = 1: [N, S] float64."""

    def weigh(net: BeliefNet, cases: Tensor, draws: Tensor) -> Tensor:
        repeated = cases.repeat_interleave(draws.shape[1], 0)[None]
        h = sample_q(net, repeated, draws.flatten(0, 1)[None].split(net.layers, -1))
        return log_weight(model, repeated, h).view(1, *draws.shape[:2])

    groups = weight_chunks(model.net, x, samples, seed, name, weigh=weigh)
    with torch.no_grad():
        return torch.cat([torch.cat([piece[0] for piece in chunks], -1).double() for _, chunks in groups])
