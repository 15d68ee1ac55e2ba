"""The variance of the inference network's gradient over samples of h, parameters and running state frozen.

For layer i the gradient g is that of all its weights and biases, summed over the minibatch. `trace` is the
trace of its covariance, `signal` the squared norm of its mean. Variance normalisation divides g by
max(1, sqrt v), so traces with and without it do not compare: `relative` = trace / signal is the fair number.
At equal parameters so is trace * scale^2, as every variant then has the same signal before normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.exact import Bits, exact_expectation
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import Ingredients, SignalState, signal_state
from nvil_repro.models.arrays import bits as check_bits
from nvil_repro.models.belief_net import BeliefNet, sample_q
from nvil_repro.streams import uniforms
from nvil_repro.trees import view

FROZEN = 1.0  # alpha: the running mean and variance stay as they are


class GradientVariance(NamedTuple):
    """Per layer and replica, [L, R], float64; standard errors by the jackknife over draws, zero where exact.

    `signal` is unbiased, so it may fall below zero where noise drowns it: `relative` is infinite then, and
    more draws are needed.
    """

    trace: Tensor  # E |g - E g|^2
    trace_stderr: Tensor
    signal: Tensor  # |E g|^2
    signal_stderr: Tensor
    relative: Tensor  # noise to signal, trace / signal
    relative_stderr: Tensor
    scale: Tensor  # what variance normalisation divides by, one where it is off
    draws: int  # 0 where exact


@torch.no_grad()
def gradient_variance(
    net: BeliefNet,
    x: Tensor,
    state: SignalState,
    ingredients: Ingredients,
    *,
    draws: int = 200,
    seed: int = 0,
    name: str = "gradient variance",
) -> GradientVariance:
    """Measure it on the minibatch x [B, D] (zeros and ones) from `draws` samples of h (all replicas' alike).

    A net of one replica may come with R rows of `state` [L, R] and `ingredients` (bool tensors [R]): it is
    then measured under every row. Two passes over the same draws keep memory at a few gradients.
    Errors: `ValueError` if there are fewer than three draws, or if `x` is not [B, D] of zeros and ones.
    """
    x = check_bits("x", x, len(net.centre)).to(net.prior)

    def gradients() -> Iterator[list[Tensor]]:
        for draw in range(draws):
            h = _sample(net, x, seed, name, draw)
            yield _flat(nvil_gradients(net, x[None], h, state, ingredients, FROZEN)[0])

    return variance_of(gradients, draws, divisor(state, ingredients))


@torch.no_grad()
def variance_of(
    gradients: Callable[[], Iterator[list[Tensor]]], draws: int, scale: Tensor
) -> GradientVariance:
    """The estimates from `gradients()`, which yields the same draws, L tensors [R, P_i] each, whenever it is called.

    Errors: `ValueError` if there are fewer than three draws.
    """
    if draws < 3:
        raise ValueError(f"a variance and its standard error need at least 3 draws, got {draws}")
    means: list[Tensor] = []
    for gradient in gradients():
        means = [mean.add_(g) for mean, g in zip(means, gradient, strict=True)] if means else gradient
    means = [mean / draws for mean in means]
    spread, along = [], []
    for gradient in gradients():
        centred = [g - mean for g, mean in zip(gradient, means, strict=True)]
        spread.append(torch.stack([_dot(c, c) for c in centred]))
        along.append(torch.stack([_dot(c, mean) for c, mean in zip(centred, means, strict=True)]))
    norm = torch.stack([_dot(mean, mean) for mean in means])
    return _estimate(torch.stack(spread), torch.stack(along), norm, scale)


@torch.no_grad()
def exact_gradient_variance(
    net: BeliefNet, x: Tensor, state: SignalState, ingredients: Ingredients
) -> GradientVariance:
    """The same, exactly, by enumerating all hidden states of a small net.

    With the state frozen the cases of a minibatch are independent, so means and covariances add over cases.
    Errors: `ValueError` if the net has too many hidden states, or if `x` is not [B, D] of zeros and ones.
    """
    x = check_bits("x", x, len(net.centre)).to(net.prior)
    columns = [
        _exact_row(view(net, min(row, net.replicas - 1)), x, *_pick(row, state, ingredients))
        for row in range(_rows(net, ingredients))
    ]
    trace, signal = (torch.stack(column, -1) for column in zip(*columns, strict=True))
    zero = torch.zeros_like(trace)
    return GradientVariance(
        trace, zero, signal, zero, _relative(trace, signal), zero, divisor(state, ingredients), draws=0
    )


@torch.no_grad()
def settled_state(
    net: BeliefNet, x: Tensor, ingredients: Ingredients, *, draws: int = 50, seed: int = 0
) -> SignalState:
    """The running mean and variance [L, R] that `draws` minibatches x [B, D] at fixed parameters lead to."""
    x = check_bits("x", x, len(net.centre)).to(net.prior)
    state = signal_state(len(net.layers), _rows(net, ingredients), net.prior.dtype)
    for draw in range(draws):
        h = _sample(net, x, seed, "settled state", draw)
        state = nvil_gradients(net, x[None], h, state, ingredients)[1].state
    return state


def _sample(net: BeliefNet, x: Tensor, seed: int, name: str, draw: int) -> Bits:
    u = uniforms(seed, name, draw, (1, len(x), sum(net.layers)), net.prior.dtype)
    return sample_q(net, x[None], u.to(net.prior.device).split(net.layers, -1))


def _flat(gradients: BeliefNet) -> list[Tensor]:
    """The inference network's gradient, a vector per layer and replica: L times [R, P_i]."""
    return [torch.cat([p.flatten(1) for p in q if p.numel()], -1) for q in gradients.recognition]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """[R, P], [R, P] -> [R], float64 at its end."""
    return torch.bmm(a[:, None], b[..., None]).flatten().double()


def _estimate(spread: Tensor, along: Tensor, norm: Tensor, scale: Tensor) -> GradientVariance:
    """From |g_s - mean|^2 and (g_s - mean) . mean, [S, L, R], and |mean|^2, [L, R].

    The jackknife needs no more: leaving draw s out moves the mean by -(g_s - mean) / (S - 1).
    """
    draws = len(spread)
    trace = spread.sum(0) / (draws - 1)
    signal = norm - trace / draws
    left_trace = (spread.sum(0) - spread * draws / (draws - 1)) / (draws - 2)
    left_signal = norm - 2 * along / (draws - 1) + spread / (draws - 1) ** 2 - left_trace / (draws - 1)

    def stderr(left_out: Tensor) -> Tensor:
        return left_out.std(0, correction=0) * math.sqrt(draws - 1)

    relative = _relative(trace, signal)
    return GradientVariance(
        trace,
        stderr(left_trace),
        signal,
        stderr(left_signal),
        relative,
        torch.where(relative.isfinite(), stderr(left_trace / left_signal), math.inf),
        scale,
        draws,
    )


def _relative(trace: Tensor, signal: Tensor) -> Tensor:
    return torch.where(signal > 0, trace / signal, math.inf)


def _exact_row(
    net: BeliefNet, x: Tensor, state: SignalState, ingredients: Ingredients
) -> tuple[Tensor, Tensor]:
    """Trace of the covariance and squared norm of the mean, [L] each, of a net of one replica."""
    traces, signals = [], []
    for layer in range(len(net.layers)):
        trace, mean = net.prior.new_zeros(()), net.prior.new_zeros(())
        for case in x:
            gradient = partial(_of_states, net, case, state, ingredients, layer)
            first = exact_expectation(net, case[None], gradient)[0, 0]
            centred = partial(_square_distance, gradient, first)
            trace, mean = trace + exact_expectation(net, case[None], centred)[0, 0], mean + first
        traces.append(trace.double())
        signals.append(mean.square().sum().double())
    return torch.stack(traces), torch.stack(signals)


def _of_states(
    net: BeliefNet, case: Tensor, state: SignalState, ingredients: Ingredients, layer: int, h: Bits
) -> Tensor:
    """One layer's gradient for one case [D] at each of C states, which take the replicas' axis: [1, C, P]."""
    states = [bits.transpose(0, 1) for bits in h]
    x = case.expand(len(states[0]), 1, -1)
    return _flat(nvil_gradients(net, x, states, state, ingredients, FROZEN)[0])[layer][None]


def _square_distance(function: Callable[[Bits], Tensor], centre: Tensor, h: Bits) -> Tensor:
    """|f(h) - centre|^2: [1, C]."""
    return (function(h) - centre).square().sum(-1)


def _rows(net: BeliefNet, ingredients: Ingredients) -> int:
    """Replicas, or rows of switches if there are more."""
    return max(net.replicas, *(torch.as_tensor(switch).numel() for switch in ingredients))


def _pick(row: int, state: SignalState, ingredients: Ingredients) -> tuple[SignalState, Ingredients]:
    """One row of the state, [L, 1], and of the switches."""
    switches = (torch.as_tensor(switch).flatten() for switch in ingredients)
    return (
        SignalState(*(part[:, row, None] for part in state)),
        Ingredients(*(bool(switch[row] if len(switch) > 1 else switch[0]) for switch in switches)),
    )


def divisor(state: SignalState, ingredients: Ingredients) -> Tensor:
    """max(1, sqrt v) where variance normalisation is on, else 1: [L, R]."""
    scale = state.variance.double().sqrt().clamp(min=1.0)
    return torch.where(torch.as_tensor(ingredients.variance_normalisation, device=scale.device), scale, 1.0)
