"""RBMs of 500 units: an update of PCD-1 and CD-25, a rung of annealing, beside scikit-learn and plain dense loops.

What an update costs us depends on how many units are on, so every contender works on one machine that has learned for
a while; the note says how many are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import count, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.floor import Map, products_alone
from benchmarks.rows import Row, measured
from benchmarks.timing import Way, cores, ways
from benchmarks.work import Bits
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.ladders import salakhutdinov_murray_ladder
from nvil_repro.models.rbm import Rbm, bias_of, hidden_logits, rbm
from nvil_repro.streams import stream
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.unnormalised_plan import RbmPlan
from nvil_repro.trees import clone

RATE = 0.05
EVERY = 100  # of the 14,500 rungs of Salakhutdinov & Murray (2008), one in so many is timed
FITTED = 50  # minibatches in one call of scikit-learn's `fit`, which begins by drawing weights


@dataclass(frozen=True)
class RbmWork:
    """Bits, a machine that has learned of them, and as many chains as cases in a minibatch."""

    data: Bits
    theta: Rbm  # one replica
    chains: Tensor  # [1, C, D]
    chunk: int = 20  # updates in one timed run of ours

    @property
    def batch(self) -> int:
        return self.chains.shape[1]

    def minibatches(self, number: int) -> Tensor:
        """[number, B, D] in float32, cut beforehand: the peers are spared what ours is charged for."""
        cases = minibatch_indices(len(self.data.train), self.batch, 0, number, 0)
        return self.data.train[cases].float()


def learned(data: Bits, hidden: int = 500, batch: int = 100, updates: int = 1_000) -> RbmWork:
    """A machine after so many updates of PCD-1."""
    theta = rbm(hidden, [0], mean=data.train.float().mean(0))
    chains = data.train[None, :batch].float()
    for first in range(0, updates, 50):
        train(data, theta, chains, "pcd", 1, range(first, min(first + 50, updates)))
    return RbmWork(data, theta, chains)


def train(data: Bits, theta: Rbm, chains: Tensor, criterion: str, steps: int, updates: range) -> None:
    """These updates of every replica in place, by our engine, minibatches cut."""
    from nvil_repro.kernels.rbm import advance_compiled

    cases = minibatch_indices(len(data.train), chains.shape[1], updates.start, len(updates), 0)
    x, rates = data.train[cases].expand(len(chains), -1, -1, -1), torch.full((len(updates),), RATE)
    plan, seeds = RbmPlan(criterion, Optimiser("sgd")), range(len(chains))
    advance_compiled(
        theta, (), chains, None, None, x, [steps] * len(updates), rates, plan, seeds, updates.start, cores()
    )


def rbm_rows(work: RbmWork, seconds: float) -> Iterator[Row]:
    """A row per peer: PCD-1, CD-25, annealing."""
    visible, hidden = work.theta.weight.shape[1:]
    on = torch.sigmoid(hidden_logits(work.theta, work.chains)).mean()
    note = f"{work.data.dataset}, minibatch and chains {work.batch}, {float(on):.0%} of hidden units on"
    for name, criterion, steps in (("PCD-1", "pcd", 1), ("CD-25", "cd", 25)):
        short = replace(work, chunk=max(2, work.chunk // steps))
        contenders = {"ours": ours(short, criterion, steps), "floor": floor(work, criterion, steps)}
        contenders["plain torch"] = by_torch(short, criterion, steps)
        if criterion == "pcd" and find_spec("sklearn"):
            contenders["scikit-learn, partial_fit"] = partial_fit(work)
            contenders["scikit-learn, fit in float32"] = fit(work)
        yield from measured(f"RBM {visible}-{hidden}, {name}", contenders, seconds / 3, note)
    contenders = {"ours": annealed(work), "floor": annealing_floor(work), "plain NumPy": by_numpy(work)}
    whole = len(salakhutdinov_murray_ladder())
    for row in measured(f"RBM {visible}-{hidden}, annealing", contenders, seconds / 3):
        times = (f"{ms * (whole - 1) / 1e3:.3g} s" for ms in (row.ours_ms, row.peer_ms, row.floor_ms))
        told = "ours {}, peer {}, products {}".format(*times)
        yield row._replace(
            note=f"{work.batch} chains, per rung, one in {EVERY} timed; for {whole:,} rungs: {told}"
        )


def ours(work: RbmWork, criterion: str, steps: int) -> list[Way]:
    """As training runs it, minibatches cut and uniforms drawn: one machine on all cores, and one on each."""

    def way(models: int) -> Way:
        theta = Rbm(*(part.repeat_interleave(models, 0) for part in work.theta))
        chains, calls = work.chains.repeat(models, 1, 1), count()

        def run() -> None:
            first = next(calls) * work.chunk
            train(work.data, theta, chains, criterion, steps, range(first, first + work.chunk))

        return Way(run, models * work.chunk)

    return [way(models) for models in {1, cores()}]


def floor(work: RbmWork, criterion: str, steps: int) -> list[Way]:
    """x W of the minibatch, of every step (CD's first has it already) and of the chains' ends; h W^T; two gradients."""
    visible, hidden = work.theta.weight.shape[1:]
    up = Map(visible, hidden, forward=2 + steps - (criterion == "cd"), backward=2)
    return products_alone([[up, Map(hidden, visible, forward=steps, backward=0)]] * cores(), work.batch)


def by_torch(work: RbmWork, criterion: str, steps: int) -> list[Way]:
    """The update as one would write it, dense and in place."""
    minibatches = work.minibatches(work.chunk)
    jobs = []
    for _ in range(cores()):
        theta, chains = clone((work.theta, work.chains))
        jobs.append(partial(torch_updates, theta, chains[0], minibatches, criterion == "pcd", steps))
    return ways(jobs, len(jobs) * work.chunk)


@torch.no_grad()
def torch_updates(theta: Rbm, chains: Tensor, minibatches: Tensor, persistent: bool, steps: int) -> None:
    """CD, or PCD from `chains` [C, D], of one machine, in place."""
    (weight,), (b,), (c,) = theta
    for x in minibatches:
        v, h = (chains if persistent else x), torch.sigmoid(torch.addmm(c, x, weight))
        for step in range(steps):
            p = torch.sigmoid(torch.addmm(c, v, weight)) if persistent or step else h
            v = torch.bernoulli(torch.sigmoid(torch.addmm(b, torch.bernoulli(p), weight.T)))
        ends = torch.sigmoid(torch.addmm(c, v, weight))
        weight.addmm_(x.T, h, alpha=RATE / len(x)).addmm_(v.T, ends, alpha=-RATE / len(v))
        b.add_(x.mean(0) - v.mean(0), alpha=RATE)
        c.add_(h.mean(0) - ends.mean(0), alpha=RATE)
        if persistent:
            chains.copy_(v)


def partial_fit(work: RbmWork) -> list[Way]:
    """`BernoulliRBM.partial_fit`, PCD-1 in double precision, from the same machine."""
    from sklearn.neural_network import BernoulliRBM

    minibatches = work.minibatches(work.chunk).numpy()
    weight, b, c = (part[0].double().numpy() for part in work.theta)

    jobs = []
    for _ in range(cores()):
        model = BernoulliRBM(len(c), learning_rate=RATE, batch_size=work.batch, random_state=0)
        model.partial_fit(minibatches[0])
        model.components_[:], model.intercept_visible_[:], model.intercept_hidden_[:] = weight.T, b, c
        jobs.append(partial(_partial_fits, model, minibatches))
    return _by_blas(jobs, len(jobs) * work.chunk)


def fit(work: RbmWork) -> list[Way]:
    """`BernoulliRBM.fit`, PCD-1 in single precision, from the weights that it draws."""
    from sklearn.neural_network import BernoulliRBM

    x, hidden = work.minibatches(FITTED).flatten(0, 1).numpy(), work.theta.weight.shape[2]
    settings = {"learning_rate": RATE, "batch_size": work.batch, "n_iter": 1, "random_state": 0}
    jobs = [partial(BernoulliRBM(hidden, **settings).fit, x) for _ in range(cores())]
    return _by_blas(jobs, len(jobs) * FITTED)


def _partial_fits(model: Any, minibatches: np.ndarray) -> None:
    for x in minibatches:
        model.partial_fit(x)


def _by_blas(jobs: Sequence[Callable[[], object]], updates: int) -> list[Way]:
    """`timing.ways` of jobs whose products NumPy's library shares out among threads."""
    from threadpoolctl import threadpool_limits

    pool = ThreadPoolExecutor(cores())

    def in_turn() -> None:
        for job in jobs:
            job()

    def apart() -> None:
        with threadpool_limits(1):
            for future in [pool.submit(job) for job in jobs]:
                future.result()

    return [Way(in_turn, updates), Way(apart, updates)]


def annealed(work: RbmWork) -> list[Way]:
    """Rungs of ours on all cores."""
    from nvil_repro.kernels.rbm_annealing import ais_compiled

    ladder, bias = timed_ladder(), _base_bias(work)
    job = partial(ais_compiled, work.theta, bias, ladder, work.batch, 0, cores())
    return [Way(job, len(ladder) - 1)]


def annealing_floor(work: RbmWork) -> list[Way]:
    """Both products of a rung, each core's share of the chains together."""
    visible, hidden = work.theta.weight.shape[1:]
    maps = [Map(visible, hidden, backward=0), Map(hidden, visible, backward=0)]
    return products_alone([maps] * cores(), work.batch // cores(), 1 / cores())


def by_numpy(work: RbmWork) -> list[Way]:
    """The same as one would write it, dense, on all cores."""
    ladder, bias = timed_ladder(), _base_bias(work)[0].numpy()
    job = partial(numpy_weights, *(part[0].numpy() for part in work.theta), bias, ladder, work.batch)
    return [Way(job, len(ladder) - 1)]


def numpy_weights(
    weight: np.ndarray, b: np.ndarray, c: np.ndarray, base: np.ndarray, ladder: Sequence[float], chains: int
) -> np.ndarray:
    """log w [C] of annealed importance sampling (Salakhutdinov & Murray 2008)."""
    random, total = stream(0, "benchmark/annealing"), np.zeros(chains)

    def bits(logits: np.ndarray) -> np.ndarray:
        return (random.random(logits.shape, np.float32) * (1 + np.exp(-logits)) < 1).astype(np.float32)

    x = bits(np.broadcast_to(base, (chains, len(base))))
    for low, high in pairwise(np.asarray(ladder, np.float32)):
        a = x @ weight + c
        total += (high - low) * (x @ (b - base))
        total += (np.logaddexp(0, high * a) - np.logaddexp(0, low * a)).sum(1)
        h = bits(high * a)
        x = bits((1 - high) * base + high * (h @ weight.T + b))
    return total


def timed_ladder() -> list[float]:
    """Every so many of the rungs of Salakhutdinov & Murray."""
    return salakhutdinov_murray_ladder()[::EVERY]


def _base_bias(work: RbmWork) -> Tensor:
    return bias_of(work.data.train.float().mean(0))[None]
