"""A chunk of updates, in place: the torch road anywhere, the compiled kernel on a CPU with numba, a graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.learning.closed_form import check_baselines, nvil_gradients
from nvil_repro.learning.nvil import ALPHA, Ingredients, SignalState
from nvil_repro.learning.wake_sleep import wake_sleep_gradients
from nvil_repro.models import belief_net, bernoulli
from nvil_repro.models.belief_net import BeliefNet, check_net, draw_q, parameters, sample_p
from nvil_repro.training.optimisers import MOMENTS, Optimiser, Rates, ascend
from nvil_repro.trees import view


class TrainState(NamedTuple):
    """Everything an update changes, all of it in the checkpoint; R replicas."""

    net: BeliefNet
    signals: SignalState  # [L, R]
    moments: tuple[tuple[Tensor, ...], ...]  # the optimiser's buffers, in the order of `parameters(net)`


METHODS = ("nvil", "wake-sleep")


class Plan(NamedTuple):
    """What stays fixed through a run: a row of switches and rates per replica, and each replica's stream of data."""

    ingredients: Ingredients  # bool tensors [R]
    rates: Rates  # [R]
    optimiser: Optimiser
    group: Tensor  # int64 [R]: which of the G streams (one per seed) a replica reads
    alpha: float = ALPHA
    method: str = "nvil"  # of `METHODS`; wake-sleep leaves ingredients and alpha unread


ENGINES = ("kernel", "graph", "torch")


def default_engine(device: str | torch.device = "cpu") -> str:
    """`kernel` on a CPU with numba installed, `graph` on a GPU with Triton, else `torch`."""
    kind, needs = ("kernel", "numba") if torch.device(device).type == "cpu" else ("graph", "triton")
    return kind if find_spec(needs) else "torch"


def advance(
    state: TrainState,
    plan: Plan,
    x: Tensor,
    uniforms: Sequence[Tensor],
    first_update: int,
    *,
    engine: str | None = None,
    threads: int = 1,
) -> Tensor:
    """Run T updates of the plan's method in place; the mean single-sample bound of each minibatch, [T, R], in nats.

    `x` uint8 [G, T, B, D] holds the minibatches of each stream, `uniforms` its uniforms in the dtype of the
    parameters: for h^1..h^L, [G, T, B, H_i] each, and after them, read by wake-sleep alone, for dreams of
    x, h^1..h^L. On a CPU a replica's bits do not depend on the other replicas, nor on `threads`.
    A replica that diverges carries NaN from then on and disturbs no other. Denormal numbers count as zero on a CPU.
    Errors: `ValueError` for a state whose parts do not fit, if x is not bits, if the uniforms do not fit, if the
    input-dependent baseline is on in a net without baselines, or for an engine that is unknown or not this device's.
    """
    _check(state, plan, x, uniforms)
    device = state.net.prior.device
    engine = engine or default_engine(device)
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {', '.join(ENGINES)}")
    if (engine == "graph" and device.type != "cuda") or (engine == "kernel" and device.type != "cpu"):
        raise ValueError(f"engine {engine!r} does not work on {device}; leave it out for the one that does")
    with denormals_as_zero():
        if engine == "kernel":
            from nvil_repro.kernels.engine import advance_compiled

            return advance_compiled(state, plan, x, uniforms, first_update, threads)
        if engine == "graph" and (
            state.net.baselines or plan.method != "nvil"
        ):  # others look at their switches
            from nvil_repro.training.captured import advance_captured

            step = update_in_graph if _draws_by_unit(state.net, plan) else _compiled()
            return advance_captured(step, state, plan, x, uniforms, first_update)
        return _advance_torch(state, plan, x, uniforms, first_update)


@cache
def _compiled() -> Callable[..., None]:
    return torch.compile(update_in_graph, fullgraph=True, dynamic=False)


def _draws_by_unit(net: BeliefNet, plan: Plan) -> bool:
    """Whether the method samples from autoregressive layers, in torch a loop over units and too long to compile."""
    kinds = net.architecture
    return kinds.inference or (plan.method == "wake-sleep" and (kinds.prior or kinds.visible))


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """In this thread and, where threads inherit its floating-point flags (Linux), those it starts: the moments of idle
    weights decay into denormal numbers, on which a CPU is up to a hundred times slower.
    """
    before = (torch.tensor(1e-39) * 1).item() == 0  # torch tells no other way
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _advance_torch(
    state: TrainState, plan: Plan, x: Tensor, uniforms: Sequence[Tensor], first_update: int
) -> Tensor:
    if state.net.prior.device.type != "cpu":
        return advance_batched(state, plan, x, uniforms, first_update)
    # One at a time: torch's vector units round the last few elements of a tensor apart from the others.
    alone = [one_replica(state, plan, r) for r in range(state.net.replicas)]
    return torch.cat([advance_batched(*one, x, uniforms, first_update) for one in alone], 1)


def _check(state: TrainState, plan: Plan, x: Tensor, uniforms: Sequence[Tensor]) -> None:
    """The compiled engine reads and writes unchecked."""
    check_state(state, plan.optimiser)
    net = state.net
    visible, sizes = len(net.centre), net.layers
    if x.ndim != 4 or x.shape[-1] != visible or x.dtype != torch.uint8 or int(x.max()) > 1:
        raise ValueError(
            f"x is {x.dtype} {list(x.shape)}: expected bits, uint8 [G, T, B, {visible}] of 0 and 1"
        )
    if plan.method == "wake-sleep":
        sizes = (*sizes, visible, *sizes)
    if len(uniforms) < len(sizes):
        raise ValueError(
            f"{len(uniforms)} arrays of uniforms: {plan.method} needs {len(sizes)}, of {sizes} units"
        )
    check_uniforms(net, tuple(x.shape[:3]), sizes, uniforms)
    if plan.method == "nvil":
        check_baselines(net, plan.ingredients)


def check_state(state: TrainState, optimiser: Optimiser) -> None:
    """Errors: `ValueError` for a net whose parameters do not fit, other buffers than the optimiser keeps of them, or
    signals that are not [L, R].
    """
    net, count = state.net, MOMENTS[optimiser.name]
    check_net(net)
    like = [(tensor.shape, tensor.dtype) for _, tensor in parameters(net)]
    if [[(buffer.shape, buffer.dtype) for buffer in moment] for moment in state.moments] != [like] * count:
        raise ValueError(
            f"moments do not fit: {optimiser.name} keeps {count} buffers of the shape and dtype of each parameter; "
            "make them by `optimisers.moments`"
        )
    for name, part in state.signals._asdict().items():
        if part.shape != (len(net.layers), net.replicas) or part.dtype != net.prior.dtype:
            wanted = f"{net.prior.dtype} {[len(net.layers), net.replicas]}"
            raise ValueError(f"the signals' {name} is {part.dtype} {list(part.shape)}: expected {wanted}")


def check_uniforms(
    net: BeliefNet, shape: tuple[int, ...], sizes: Sequence[int], uniforms: Sequence[Tensor]
) -> None:
    """Errors: `ValueError` if they are not of [G, T, B] = `shape` and these units, in the dtype of the parameters."""
    for i, (u, size) in enumerate(zip(uniforms, sizes, strict=False)):
        if u.shape != (*shape, size) or u.dtype != net.prior.dtype:
            expected = f"{net.prior.dtype} {[*shape, size]}"
            raise ValueError(f"uniforms[{i}] is {u.dtype} {list(u.shape)}: expected {expected}")


def one_replica(state: TrainState, plan: Plan, r: int) -> tuple[TrainState, Plan]:
    """Replica r alone, its tensors views into those of all."""
    signals = SignalState(*(part[:, r : r + 1] for part in state.signals))
    switches = Ingredients(*(torch.as_tensor(switch)[r : r + 1] for switch in plan.ingredients))
    rates = Rates(*(rate[r : r + 1] for rate in plan.rates))
    one = TrainState(view(state.net, r), signals, view(state.moments, r))
    return one, plan._replace(ingredients=switches, rates=rates, group=plan.group[r : r + 1])


@torch.no_grad()
def advance_batched(
    state: TrainState, plan: Plan, x: Tensor, uniforms: Sequence[Tensor], first_update: int
) -> Tensor:
    """The torch engine, every replica in one batched product; see `advance`."""
    steps = range(x.shape[1])
    return torch.stack([update_batched(state, plan, x, uniforms, t, first_update + t) for t in steps])


def update_batched(
    state: TrainState,
    plan: Plan,
    x: Tensor,
    uniforms: Sequence[Tensor],
    t: int | Tensor,
    update: int | Tensor,
) -> Tensor:
    """Update `update` of the run, on minibatch `t` of the chunk, whose mean bound it returns, [R]; either may be a
    tensor, which a GPU needs not ask the host for.
    """
    net, layers = state.net, len(state.net.layers)
    batch = x[plan.group, t].to(net.prior.dtype)
    u = [part[plan.group, t] for part in uniforms]
    h, q_logits = draw_q(net, batch, u[:layers])
    if plan.method == "nvil":
        gradients, signals = nvil_gradients(
            net, batch, h, state.signals, plan.ingredients, plan.alpha, q_logits=q_logits
        )
        state.signals.mean.copy_(signals.state.mean)
        state.signals.variance.copy_(signals.state.variance)
        bound = signals.raw[0].mean(-1)
    else:
        p_logits = belief_net.p_logits(net, batch, h)
        gradients = wake_sleep_gradients(net, batch, h, sample_p(net, u[layers:]), p_logits)
        p_terms = belief_net.log_p_given(p_logits, batch, h, bernoulli)
        bound = (p_terms.sum(0) - belief_net.log_q_given(q_logits, h).sum(0)).mean(-1)
    ascend(net, gradients, state.moments, plan.optimiser, plan.rates, update)
    return bound


def update_in_graph(
    state: TrainState,
    plan: Plan,
    x: Tensor,
    uniforms: Sequence[Tensor],
    t: Tensor,
    update: Tensor,
    bounds: Tensor,
) -> None:
    """`update_batched` without a number that the host would have to read or write: a step of `captured`."""
    bounds.index_copy_(0, t, update_batched(state, plan, x, uniforms, t, update)[None])
    t.add_(1)
    update.add_(1)
