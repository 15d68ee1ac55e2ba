"""The general road: NVIL for any model and any inference network, by autograd.

Two modules are all it takes:

    model.log_prob(x, h)      -> [B], or layer by layer [L+1, B]: log P(x | h^1), log P(h^1 | h^2), ..., log P(h^L)
    inference.sample(x, ...)  -> h, a tensor or tuple of tensors, not differentiated
    inference.log_prob(h, x)  -> [B], or layer by layer [L, B]

Terms layer by layer allow local signals (equation 12); h may be discrete or continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from nvil_repro.learning.nvil import ALPHA, Ingredients, Signals, SignalState, signals_of


class Model(Protocol):
    """P(x, h): the log-probability of the data and all latent variables, in nats."""

    def log_prob(self, x: Tensor, h: Any) -> Tensor: ...


class Inference(Protocol):
    """Q(h | x): samples and their log-probability, in nats."""

    def log_prob(self, h: Any, x: Tensor) -> Tensor: ...


def nvil_loss(
    model: Model,
    inference: Inference,
    x: Tensor,
    h: Any,
    state: SignalState,
    *,
    baselines: Sequence[Callable[[Tensor, Any], Tensor]] | None = None,
    ingredients: Ingredients | None = None,
    alpha: float = ALPHA,
) -> tuple[Tensor, Signals]:
    """A scalar whose negative gradient is Algorithm 1's update of model, inference network and baselines, summed.

    `h` is a sample of Q(h | x); `baselines[i](x, h)` -> [B] is layer i's C_psi, or none for nets without. The value
    of the loss means nothing; `signals.raw[0]` is the single-sample bound of every case, and `signals.state` goes
    into the next call.
    Errors: `ValueError` if the terms, the state or the baselines disagree about the number of layers, if the
    input-dependent baseline is switched on but not given, or if a sample carries a gradient.
    """
    ingredients = ingredients or Ingredients(input_baseline=baselines is not None)
    q_terms, p_terms = _layered(inference.log_prob(h, x)), _layered(model.log_prob(x, h))
    if len(p_terms) == len(q_terms) == 1:  # log P(x, h) in one piece: no term is left for the prior
        p_terms = torch.cat([p_terms, torch.zeros_like(p_terms)])
    layers = len(q_terms)
    _check(layers, p_terms, state, baselines, ingredients, h)
    values = torch.stack([c(x, h) for c in baselines]) if baselines else torch.zeros_like(q_terms)
    with torch.no_grad():
        signals = signals_of(p_terms, q_terms, values, state, ingredients, alpha)
    surrogate = p_terms.sum() + (signals.used * q_terms).sum()
    if ingredients.input_baseline:
        surrogate = surrogate + (signals.used * values).sum()
    return -surrogate, signals


def _layered(terms: Tensor) -> Tensor:
    return terms[None] if terms.ndim == 1 else terms


def _check(
    layers: int,
    p_terms: Tensor,
    state: SignalState,
    baselines: Sequence[Callable[[Tensor, Any], Tensor]] | None,
    ingredients: Ingredients,
    h: Any,
) -> None:
    if len(p_terms) != layers + 1:
        raise ValueError(
            f"log Q has {layers} layer terms and log P has {len(p_terms)}; expected {layers + 1} "
            "(one for x and each h^i), or one term each"
        )
    if state.mean.shape != (layers,):
        raise ValueError(
            f"the signal state has shape {tuple(state.mean.shape)}, expected ({layers},): signal_state({layers})"
        )
    if ingredients.input_baseline and (baselines is None or len(baselines) != layers):
        given = 0 if baselines is None else len(baselines)
        raise ValueError(
            f"the input-dependent baseline is on: give {layers} baselines, one per layer, not {given}"
        )
    samples = h if isinstance(h, (tuple, list)) else [h]
    if any(isinstance(part, Tensor) and part.requires_grad for part in samples):
        raise ValueError(
            "h carries a gradient: NVIL's samples are constants, draw them under torch.no_grad()"
        )
