"""Algorithm 1 of the paper, an ingredient a function.

For every case of a minibatch, h ~ Q(h | x) and, layer by layer,

    l  <- log P - log Q                      `learning_signals` (equation 12; the global signal with local signals off)
    l  <- l - C_psi(x)                       input-dependent baseline
    c  <- a c + (1 - a) mean(l)              `update_state`, before use
    v  <- a v + (1 - a) var(l)
    l  <- (l - c) / max(1, sqrt v)           `normalise`

then theta += rate sum d log P, phi += rate sum l d log Q, psi += rate sum l dC. Sums over the minibatch, not means.

c and v are updated before they are used, so each case sees a share (1 - a)/B of itself: with only the constant
baseline on, the expected inference gradient is the true one times 1 - (1 - a)/B, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ALPHA = 0.8  # decay of the running mean and variance, as in the paper


class Ingredients(NamedTuple):
    """Switches of the estimator: booleans for one net, or bool tensors [R], a row of switches per replica."""

    constant_baseline: bool | Tensor = True  # c
    input_baseline: bool | Tensor = True  # C_psi, the IDB
    variance_normalisation: bool | Tensor = True  # 1 / max(1, sqrt v)
    local_signals: bool | Tensor = True  # l^i in place of l^1


# The five curves of Figure 1, best first, as its legend names them.
VARIANTS: dict[str, Ingredients] = {
    "full": Ingredients(),
    "baseline_vn": Ingredients(input_baseline=False),
    "baseline": Ingredients(input_baseline=False, variance_normalisation=False),
    "vn": Ingredients(constant_baseline=False, input_baseline=False),
    "none": Ingredients(constant_baseline=False, input_baseline=False, variance_normalisation=False),
}
LABELS: dict[str, str] = {
    "full": "Baseline, IDB, & VN",
    "baseline_vn": "Baseline & VN",
    "baseline": "Baseline only",
    "vn": "VN only",
    "none": "No baselines & no VN",
}


def stack_ingredients(variants: Sequence[str]) -> Ingredients:
    """The switches of the named variants as bool tensors [R].

    Errors: `ValueError` naming an unknown variant and the known ones.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise ValueError(f"unknown variant {unknown[0]!r}; choose from {', '.join(VARIANTS)}")
    return Ingredients(
        *(torch.tensor(switch) for switch in zip(*(VARIANTS[name] for name in variants), strict=True))
    )


class SignalState(NamedTuple):
    """The running mean c and variance v of each layer's signal: [L, R] (or [L] without replicas)."""

    mean: Tensor
    variance: Tensor


def signal_state(layers: int, replicas: int | None = None, dtype: torch.dtype = torch.float32) -> SignalState:
    """c = v = 0. The paper states no start; zero lets the first minibatches set both."""
    shape = (layers,) if replicas is None else (layers, replicas)
    return SignalState(torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype))


def learning_signals(p_terms: Tensor, q_terms: Tensor, local: bool | Tensor = True) -> Tensor:
    """The signal of every layer, equation 12, in nats: [L+1, ..., B], [L, ..., B] -> [L, ..., B].

    l^i = log P(h^{i-1..L}) - log Q(h^{i..L} | h^{i-1}) drops the terms layer i cannot influence; l^1 is the global
    signal log P(x, h) - log Q(h | x), which every layer gets where `local` is off.
    """
    differences = p_terms[:-1] - q_terms
    signals = differences.flip(0).cumsum(0).flip(0) + p_terms[-1]
    return torch.where(_flag(local, signals), signals, signals[:1])


def update_state(state: SignalState, signals: Tensor, alpha: float = ALPHA) -> SignalState:
    """One step of the running mean and variance: [L, ..., B] signals (baseline already subtracted) move [L, ...].

    The minibatch variance is the population one (divisor B).
    """
    batch_mean, batch_variance = signals.mean(-1), signals.var(-1, correction=0)
    return SignalState(
        alpha * state.mean + (1 - alpha) * batch_mean,
        alpha * state.variance + (1 - alpha) * batch_variance,
    )


def normalise(signals: Tensor, state: SignalState, ingredients: Ingredients) -> Tensor:
    """(l - c) / max(1, sqrt v), each step where its switch is on: [L, ..., B] -> [L, ..., B]."""
    centred = signals - torch.where(_flag(ingredients.constant_baseline, signals), state.mean[..., None], 0.0)
    scale = state.variance.sqrt().clamp(min=1.0)[..., None]
    return torch.where(_flag(ingredients.variance_normalisation, signals), centred / scale, centred)


class Signals(NamedTuple):
    """What Algorithm 1 makes of one minibatch; per layer, in nats."""

    raw: Tensor  # [L, ..., B], l before any baseline; raw[0] of a layered net is the single-sample bound
    used: Tensor  # [L, ..., B], what multiplies d log Q and dC
    state: SignalState


def signals_of(
    p_terms: Tensor,
    q_terms: Tensor,
    baselines: Tensor,
    state: SignalState,
    ingredients: Ingredients,
    alpha: float = ALPHA,
) -> Signals:
    """The order of operations of Algorithm 1. `baselines` [L, ..., B] holds C_psi; nothing is differentiated."""
    raw = learning_signals(p_terms, q_terms, ingredients.local_signals)
    reduced = raw - torch.where(_flag(ingredients.input_baseline, raw), baselines, 0.0)
    state = update_state(state, reduced, alpha)
    return Signals(raw, normalise(reduced, state, ingredients), state)


def _flag(switch: bool | Tensor, like: Tensor) -> Tensor:
    """A switch, or a row of them [R], to broadcast against [L, (R,) B]."""
    flag = torch.as_tensor(switch, device=like.device)
    return flag[:, None] if flag.ndim else flag
