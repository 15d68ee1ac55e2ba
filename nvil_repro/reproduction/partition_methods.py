"""Every estimate of log Z of Deep Learning, section 18.7, by its name, as it is asked of one machine.

Where a method has a ladder, `rungs` is how many Gibbs steps each of its chains takes, about: linked importance
sampling, which takes `STATES` a rung, has so many fewer rungs. Equal rungs and chains are then about equal work, but
for the pilot run that finds an adaptive ladder. Importance and bridge sampling have no ladder, and do less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.bridge import bridge, ladder_bridge, of_bridge
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import (
    LADDERS,
    adaptive_ladder,
    salakhutdinov_murray_ladder,
    uniform_ladder,
)
from nvil_repro.evaluation.linked import linked_importance
from nvil_repro.evaluation.partition import ais, reverse_ais
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.evaluation.reverse_annealing import raise_log_prob
from nvil_repro.evaluation.simple_importance import simple_importance
from nvil_repro.models.rbm import RBM, Rbm

UNIFORM, SHAPED, ADAPTIVE = LADDERS
STATES = 10  # of linked importance sampling, a rung
MOST_SAMPLES = 10_000  # of simple importance sampling, all held at once


class Machine(NamedTuple):
    """An RBM of one replica, and what its estimates start from."""

    theta: Rbm
    mean: Tensor  # [D], of the training cases
    samples: Tensor  # [S, D], uint8, of the machine itself, a part for every seed
    cases: Tensor  # [N, D], uint8, test cases


@dataclass(frozen=True)
class Question:
    """What is log Z? Asked by a method of `METHODS`, with a ladder of `LADDERS` if it has one, once for every seed.

    `burn_in` names the samples that chains fall from: so many Gibbs steps from test cases; 0: exact ones.
    """

    method: str
    ladder: str = ""
    rungs: int = 0
    chains: int = 0
    seeds: tuple[int, ...] = (0,)
    burn_in: int = 0


def shaped_ladder(rungs: int) -> list[float]:
    """`rungs` of the 14,501 values of Salakhutdinov & Murray (2008), evenly many of each part; all if it asks more."""
    full = salakhutdinov_murray_ladder()
    count = min(rungs, len(full))
    return [full[round(k * (len(full) - 1) / (count - 1))] for k in range(count)]


def _ladder(m: Machine, q: Question, seed: int, mean: Tensor | None, rungs: int) -> list[float]:
    if q.ladder == ADAPTIVE:
        pilot = uniform_ladder(min(max(rungs, 30), 300) + 1)
        return adaptive_ladder(RBM, m.theta, rungs, pilot=pilot, chains=q.chains, mean=mean, seed=seed)
    return {UNIFORM: uniform_ladder, SHAPED: shaped_ladder}[q.ladder](rungs)


def _exact(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    log_z = exact_log_partition(RBM, m.theta)
    return PartitionEstimate("exact", log_z, log_z, log_z, torch.zeros_like(log_z))


def _importance(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    samples = min(q.rungs * q.chains, MOST_SAMPLES)
    return simple_importance(RBM, m.theta, samples=samples, mean=m.mean, seed=seed).estimate


def _ais(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    ladder = _ladder(m, q, seed, m.mean, q.rungs)
    return ais(RBM, m.theta, ladder=ladder, chains=q.chains, mean=m.mean, seed=seed)


def _ais_from_nothing(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    return ais(RBM, m.theta, ladder=_ladder(m, q, seed, None, q.rungs), chains=q.chains, seed=seed)


def _reverse(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    ladder = _ladder(m, q, seed, m.mean, q.rungs)
    return reverse_ais(RBM, m.theta, own_samples(m, q.chains, seed), ladder=ladder, mean=m.mean, seed=seed)


def _bridge(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    return bridge(RBM, m.theta, own_samples(m, q.chains, seed), mean=m.mean, seed=seed)


def _ladder_bridge(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    ladder = _ladder(m, q, seed, m.mean, q.rungs)
    return ladder_bridge(RBM, m.theta, ladder=ladder, chains=q.chains, mean=m.mean, seed=seed)


def _linked(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    ladder = _ladder(m, q, seed, m.mean, max(2, q.rungs // STATES))
    return linked_importance(
        RBM, m.theta, ladder=ladder, states=STATES, chains=q.chains, mean=m.mean, seed=seed
    )


def _raise(m: Machine, q: Question, seed: int) -> PartitionEstimate:
    """The log Z at which `chains` test cases would be as likely as RAISE says; that is no bound of either kind.

    RAISE bounds from below, on average, what annealing gives a case, which only over samples of the model itself is on
    average no more than the model gives.
    """
    x, ladder = m.cases[: q.chains].to(m.theta.weight), _ladder(m, q, seed, m.mean, q.rungs)
    low = raise_log_prob(RBM, m.theta, x, ladder=ladder, mean=m.mean, seed=seed)
    each = RBM.log_unnormalised(Rbm(*(part.double() for part in m.theta)), x.double()[None]) - low
    ess = torch.full((1,), float(len(x)), dtype=torch.float64)
    return of_bridge("RAISE", each.mean(-1), each.var(-1) / len(x), ess)


EXACT, IMPORTANCE, BRIDGE = "exact", "importance sampling", "bridge sampling"
AIS, FROM_NOTHING, REVERSE = "AIS", "AIS, no base rates", "reverse AIS"
LADDER_BRIDGE, LINKED, RAISE = "bridges along a ladder", "linked importance sampling", "RAISE"
METHODS: Mapping[str, Callable[[Machine, Question, int], PartitionEstimate]] = {
    EXACT: _exact,
    IMPORTANCE: _importance,
    BRIDGE: _bridge,
    AIS: _ais,
    FROM_NOTHING: _ais_from_nothing,
    REVERSE: _reverse,
    LADDER_BRIDGE: _ladder_bridge,
    LINKED: _linked,
    RAISE: _raise,
}
WEIGHTED = (IMPORTANCE, AIS, FROM_NOTHING, REVERSE, LINKED)  # whose estimate is a mean of weights


def own_samples(m: Machine, count: int, seed: int) -> Tensor:
    """Samples x [1, count, D] of the machine that no other seed is given. Errors: `ValueError` if they run out."""
    x = m.samples[seed * count : (seed + 1) * count]
    if len(x) < count:
        raise ValueError(f"seed {seed} of {count} samples each: the machine has {len(m.samples)} in all")
    return x[None].to(m.theta.weight)
