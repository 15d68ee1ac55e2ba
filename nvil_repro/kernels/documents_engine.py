"""The compiled engine of `training.advance_documents`: every replica's loop, shared out among threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.kernels.documents import run_documents
from nvil_repro.kernels.documents_encoder import Text, rows
from nvil_repro.kernels.passes import scratch
from nvil_repro.kernels.replicas import replica_net, replica_plan
from nvil_repro.training.advance import Plan, TrainState
from nvil_repro.training.schedule import run_interleaved

SLICE = 5  # updates a replica runs before another may have its thread


def advance_compiled(
    state: TrainState,
    plan: Plan,
    weight_decay: float,
    train: Counts,
    cases: Tensor,
    uniforms: Sequence[Tensor],
    first_update: int,
    threads: int,
) -> Tensor:
    """See `training.advance_documents.advance_documents`; the mean bound per word of each minibatch, [T, R]."""
    (updates, batch), replicas, like = cases.shape[1:], state.net.replicas, state.net.centre.numpy().dtype
    objective = torch.empty(replicas, updates, dtype=torch.float64)
    mean, variance = (part.T.contiguous() for part in state.signals)
    arguments = []
    for r in range(replicas):
        g, net, how = int(plan.group[r]), replica_net(state, r), replica_plan(plan, r, state.net.prior.dtype)
        room = np.empty(batch, like), np.empty(batch, np.int64), np.empty(batch, np.int64)
        sizes = [layer.value.weight.shape for layer in (net.inference[0], net.hidden[0])]
        arguments.append(
            (
                Text(train.starts, train.words, train.counts, cases[g].numpy(), *room),
                tuple(u[g].numpy() for u in uniforms),
                net,
                how,
                how.rates[0] * like.type(weight_decay) if weight_decay else like.type(0),
                scratch(net, batch),
                tuple(rows(vocabulary, out, updates, like) for vocabulary, out in sizes),
                mean[r].numpy(),
                variance[r].numpy(),
                objective[r].numpy(),
            )
        )

    def run(r: int, begin: int, end: int) -> None:
        run_documents(*arguments[r], begin, end, first_update)

    run_interleaved(run, replicas, updates, SLICE, threads)
    state.signals.mean.copy_(mean.T)
    state.signals.variance.copy_(variance.T)
    return objective.T
