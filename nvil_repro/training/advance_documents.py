"""A chunk of updates of document nets, in place: `training.advance` with a visible layer of words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nvil_repro.data.counts import Counts
from nvil_repro.learning.closed_form import check_baselines, nvil_gradients
from nvil_repro.models import multinomial
from nvil_repro.models.belief_net import draw_q
from nvil_repro.training.advance import (
    Plan,
    TrainState,
    check_state,
    check_uniforms,
    default_engine,
    denormals_as_zero,
    one_replica,
)
from nvil_repro.training.optimisers import ascend
from nvil_repro.training.weight_decay import decay_weights


def advance_documents(
    state: TrainState,
    plan: Plan,
    train: Counts,
    cases: Tensor,
    uniforms: Sequence[Tensor],
    first_update: int,
    *,
    weight_decay: float = 0.0,
    engine: str | None = None,
    threads: int = 1,
) -> Tensor:
    """Run T updates in place; the mean of each minibatch's single-sample bounds per word, [T, R] float64, in nats.

    `cases` int64 [G, T, B] are the documents of `train` in the minibatches of each stream, none of them empty;
    `uniforms` as in `advance.advance`, for h^1..h^L. At each update the weights of the model also shrink by
    `weight_decay` times its rate. A replica's bits depend on no other, nor on `threads`.
    Errors: `ValueError` if the state's parts, documents or uniforms do not fit, if the input-dependent baseline is on
    in a net without baselines, or for an unknown engine.
    """
    _check(state, plan, train, cases, uniforms)
    engine = engine or default_engine()
    if engine not in ("kernel", "torch"):
        raise ValueError(f"unknown engine {engine!r}; choose from kernel, torch")
    with denormals_as_zero():
        if engine == "kernel":
            from nvil_repro.kernels.documents_engine import advance_compiled

            return advance_compiled(state, plan, weight_decay, train, cases, uniforms, first_update, threads)
        # One replica at a time, as in `advance`.
        alone = [one_replica(state, plan, r) for r in range(state.net.replicas)]
        columns = [_advance_torch(*one, weight_decay, train, cases, uniforms, first_update) for one in alone]
        return torch.stack(columns, 1)


@torch.no_grad()
def _advance_torch(
    state: TrainState,
    plan: Plan,
    weight_decay: float,
    train: Counts,
    cases: Tensor,
    uniforms: Sequence[Tensor],
    first_update: int,
) -> Tensor:
    """One replica, its minibatches as dense matrices: [T]."""
    net, objective = state.net, []
    for t in range(cases.shape[1]):
        documents = train.take(cases[plan.group[0], t].numpy())
        x = torch.from_numpy(documents.dense()).to(net.prior.dtype)[None]
        h, q_logits = draw_q(net, x, [part[plan.group, t] for part in uniforms])
        gradients, signals = nvil_gradients(
            net, x, h, state.signals, plan.ingredients, plan.alpha, multinomial, q_logits
        )
        state.signals.mean.copy_(signals.state.mean)
        state.signals.variance.copy_(signals.state.variance)
        objective.append((signals.raw[0, 0] / x[0].sum(-1)).double().mean())
        if weight_decay:
            decay_weights(net, plan.rates, weight_decay, plan.optimiser.centre)
        ascend(net, gradients, state.moments, plan.optimiser, plan.rates, first_update + t)
    return torch.stack(objective)


def _check(state: TrainState, plan: Plan, train: Counts, cases: Tensor, uniforms: Sequence[Tensor]) -> None:
    """The compiled engine reads and writes unchecked."""
    check_state(state, plan.optimiser)
    net = state.net
    if train.vocabulary != len(net.centre):
        raise ValueError(f"documents of {train.vocabulary:,} words for a net of {len(net.centre):,}")
    if cases.ndim != 3 or cases.dtype != torch.int64:
        raise ValueError(f"cases are {cases.dtype} {list(cases.shape)}: expected int64 [G, T, B]")
    if not 0 <= int(cases.min()) <= int(cases.max()) < train.documents:
        found = f"{int(cases.min())} to {int(cases.max())}"
        raise ValueError(f"cases are documents {found}: expected 0 to {train.documents - 1}")
    if len(uniforms) < len(net.layers):
        raise ValueError(
            f"{len(uniforms)} arrays of uniforms: expected one for each of {len(net.layers)} layers"
        )
    check_uniforms(net, tuple(cases.shape), net.layers, uniforms)
    check_baselines(net, plan.ingredients)
