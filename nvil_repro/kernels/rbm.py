"""The compiled engine of RBMs that train by Markov chains, update after update of `training.unnormalised_plan`.

Every stage of an update falls into parts that do not touch one another. Of several replicas each keeps to one thread
at a time; of one that is alone threads share out the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from nvil_repro.counters import counter_key
from nvil_repro.kernels.rbm_ascent import run_biases, run_rows, run_slopes
from nvil_repro.kernels.rbm_gibbs import enlist
from nvil_repro.kernels.rbm_phases import PARTS, run_phases
from nvil_repro.kernels.rbm_replica import how, replica
from nvil_repro.learning.centring import Offsets
from nvil_repro.models.rbm import Rbm
from nvil_repro.training.schedule import run_interleaved
from nvil_repro.training.unnormalised_plan import PERSISTENT, RbmPlan

STREAM = "gibbs"  # of the uniforms that drive the chains
SLICE = 5  # updates a replica runs before another may have its thread


def advance_compiled(
    theta: Rbm,
    moments: Sequence[Rbm],
    chains: Tensor,
    fast: Rbm | None,
    offsets: Offsets | None,
    x: Tensor,
    steps: Sequence[int],
    rates: Tensor,
    plan: RbmPlan,
    seeds: Sequence[int],
    first_update: int,
    threads: int,
) -> Tensor:
    """T updates of every replica in place; the free-energy gap at each, float64 [T, R], in nats.

    `chains` [R, C, D], which "cd" leaves unread; `x` uint8 [R, T, B, D]; `steps` and `rates` [T]. The uniforms of
    update t are `counter_uniforms(seed, STREAM, first_update + t, (steps[t], B or C, H + D))`, h's before x's.
    `plan.fixed` is empty. No number depends on `threads` or on the replicas alongside.
    """
    persistent, updates, number = plan.criterion in PERSISTENT, len(steps), len(seeds)
    sizes = x.shape[2], chains.shape[1] if persistent else x.shape[2]
    constants = how(plan, rates, theta.weight.dtype)
    replicas = [replica(theta, moments, fast, offsets, r, sizes, constants) for r in range(number)]
    gaps = torch.empty(updates, number, dtype=torch.float64)
    if persistent:
        for r, s in enumerate(replicas):
            s.phases.chains.bits[:] = chains[r].numpy()
            enlist(s.phases.chains)
    with ThreadPoolExecutor(threads) as pool:
        share = partial(_share, pool, threads) if number == 1 and threads > 1 else _whole

        def run(r: int, begin: int, end: int) -> None:
            s = replicas[r]
            for t in range(begin, end):
                key = counter_key(seeds[r], STREAM, first_update + t)
                how_far = key, steps[t], not persistent
                share(partial(run_phases, x[r, t].numpy(), s.phases, s.model, s.sampler, s.desks, *how_far))
                run_slopes(s)
                share(partial(run_rows, s, t, first_update + t))
                gaps[t, r] = run_biases(s, t, first_update + t)

        run_interleaved(run, number, updates, SLICE, threads)
    if persistent:
        for r, s in enumerate(replicas):
            chains[r] = torch.from_numpy(s.phases.chains.bits)
    return gaps


def _whole(stage: Callable[[int, int], None]) -> None:
    """All parts of a stage, here."""
    stage(0, PARTS)


def _share(pool: ThreadPoolExecutor, threads: int, stage: Callable[[int, int], None]) -> None:
    """The same by threads."""
    bounds = [PARTS * n // threads for n in range(threads + 1)]
    list(pool.map(stage, bounds, bounds[1:]))
