"""One minibatch of Algorithm 1 from outside: all it computes for one net, a batch and given bits, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import ALPHA, Ingredients, SignalState, signal_state
from nvil_repro.models.arrays import Array, bits
from nvil_repro.models.belief_net import BeliefNet, log_p_terms, log_q_terms, parameters


class Minibatch(NamedTuple):
    """What `nvil_minibatch` returns; log-probabilities and signals in nats, no replica axis."""

    log_p: Tensor  # [B], log P(x, h)
    log_q: Tensor  # [B], log Q(h | x)
    signals: Tensor  # [L, B], equation 12, before any baseline
    used: Tensor  # [L, B], after baselines and normalisation: what multiplies d log Q
    gradients: dict[str, Tensor]  # ascent directions, summed: "model/0/weight", "inference/1/bias", ...
    state: SignalState  # [L], for the next minibatch


@torch.no_grad()
def nvil_minibatch(
    net: BeliefNet,
    x: Array,
    h: Sequence[Array],
    *,
    state: SignalState | None = None,
    ingredients: Ingredients | None = None,
    alpha: float = ALPHA,
) -> Minibatch:
    """Algorithm 1 on x [B, D] and bits h^i [B, H_i], all zeros and ones, for a net of one replica.

    `state` [L] starts at zero, `alpha=1` keeps it as it is. Every ingredient is on, but for the
    input-dependent baseline of a net without baselines.
    Errors: `ValueError` if the net has more than one replica, or naming the array that does not fit or is
    not binary.
    """
    if net.replicas != 1:
        raise ValueError(f"the net has {net.replicas} replicas: pick one with trees.replica(net, index)")
    if len(h) != len(net.layers):
        raise ValueError(
            f"h has {len(h)} layers, expected {len(net.layers)}: bits [B, H_i] of every hidden layer"
        )
    batch = [bits("x", x, len(net.centre))]
    batch += [bits(f"h[{i}]", b, size) for i, (b, size) in enumerate(zip(h, net.layers, strict=True))]
    if len({len(b) for b in batch}) > 1:
        raise ValueError(f"x and h must hold equally many cases, got {[len(b) for b in batch]}")
    v, *hidden = (b.to(net.prior)[None] for b in batch)
    state = state or signal_state(len(h), dtype=net.prior.dtype)
    if any(part.shape != (len(h),) for part in state):
        found = [list(part.shape) for part in state]
        raise ValueError(
            f"state holds {found}: expected a number for each of {len(h)} layers; see signal_state"
        )
    rows = SignalState(state.mean[:, None], state.variance[:, None])
    ingredients = ingredients or Ingredients(input_baseline=bool(net.baselines))
    gradients, signals = nvil_gradients(net, v, hidden, rows, ingredients, alpha)
    return Minibatch(
        log_p_terms(net, v, hidden).sum(0)[0],
        log_q_terms(net, v, hidden).sum(0)[0],
        signals.raw[:, 0],
        signals.used[:, 0],
        {name: gradient[0] for name, gradient in parameters(gradients)},
        SignalState(signals.state.mean[:, 0], signals.state.variance[:, 0]),
    )
