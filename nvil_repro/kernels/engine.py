"""The compiled engine of `training.advance.advance`: every replica's loop, shared out among threads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nvil_repro.kernels.nvil import run_nvil
from nvil_repro.kernels.passes import scratch
from nvil_repro.kernels.replicas import replica_net, replica_plan
from nvil_repro.kernels.wake_sleep import run_wake_sleep
from nvil_repro.training.advance import Plan, TrainState
from nvil_repro.training.schedule import run_interleaved

SLICE = 25  # updates a replica runs before another may have its thread
LOOPS = {"nvil": run_nvil, "wake-sleep": run_wake_sleep}


def advance_compiled(
    state: TrainState, plan: Plan, x: Tensor, uniforms: Sequence[Tensor], first_update: int, threads: int
) -> Tensor:
    """See `training.advance.advance`: T updates of every replica in place; the minibatch bounds [T, R]."""
    (updates, batch), replicas, dtype = x.shape[1:3], state.net.replicas, state.net.prior.dtype
    bounds = torch.empty(replicas, updates, dtype=dtype)
    mean, variance = (part.T.contiguous() for part in state.signals)
    data = [(x[g].numpy(), tuple(u[g].numpy() for u in uniforms)) for g in range(len(x))]
    arguments = [
        (
            *data[int(plan.group[r])],
            net := replica_net(state, r),
            replica_plan(plan, r, dtype),
            scratch(net, batch),
            scratch(net, batch if plan.method == "wake-sleep" else 0),
            mean[r].numpy(),
            variance[r].numpy(),
            bounds[r].numpy(),
        )
        for r in range(replicas)
    ]

    def run(r: int, begin: int, end: int) -> None:
        LOOPS[plan.method](*arguments[r], begin, end, first_update)

    run_interleaved(run, replicas, updates, SLICE, threads)
    state.signals.mean.copy_(mean.T)
    state.signals.variance.copy_(variance.T)
    return bounds.T
