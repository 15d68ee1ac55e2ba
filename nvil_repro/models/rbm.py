"""The restricted Boltzmann machine (Smolensky 1986), R replicas at a time: bits x above bits h.

E(x, h) = -b.x - c.h - x W h, so log p*(x) = b.x + sum_k softplus(c_k + x.W_k), h summed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.unnormalised import BITS, Base, Family, Hidden, of_units


class Rbm(NamedTuple):
    """Parameters of R machines of D visible and H hidden units."""

    weight: Tensor  # W [R, D, H]
    visible_bias: Tensor  # b [R, D]
    hidden_bias: Tensor  # c [R, H]


def rbm(
    hidden: int,
    seeds: Sequence[int],
    *,
    mean: Tensor,
    scale: float = 0.01,
    dtype: torch.dtype = torch.float32,
) -> Rbm:
    """Fresh machines, one a seed: W normal with standard deviation `scale`, c zero, and b such that W = 0 has nearly
    this `mean` [D] of the visible units (see `bias_of`).

    Errors: `ValueError` if `hidden` is not positive, there is no seed, or a mean lies outside [0, 1].
    """
    if hidden < 1 or not seeds:
        raise ValueError(f"need hidden units and at least one seed, got hidden={hidden}, seeds={seeds}")
    weights = [streams.normals(seed, "init/rbm", 0, (len(mean), hidden), dtype) for seed in seeds]
    return Rbm(
        torch.stack(weights) * scale,
        bias_of(mean).to(dtype).repeat(len(seeds), 1),
        torch.zeros(len(seeds), hidden, dtype=dtype),
    )


def bias_of(mean: Tensor, share: float = 0.05) -> Tensor:
    """Log-odds of the mean [D] of bits, mixed with 1/2 so that none is infinite.

    Errors: `ValueError` if a mean lies outside [0, 1].
    """
    if not bool(((mean >= 0) & (mean <= 1)).all()):
        raise ValueError(f"the means of bits run from {mean.min()} to {mean.max()}: expected 0 to 1")
    return torch.logit(mean * (1 - share) + share / 2)


def hidden_logits(theta: Rbm, x: Tensor) -> Tensor:
    """Logits of p(h_k = 1 | x), c_k + x.W_k: [R or 1, B, D] -> [R, B, H]."""
    return torch.matmul(x, theta.weight) + theta.hidden_bias[:, None]


def visible_logits(theta: Rbm, h: Tensor) -> Tensor:
    """Logits of p(x_j = 1 | h), b_j + W_j.h: [R or 1, B, H] -> [R, B, D]."""
    return torch.matmul(h, theta.weight.mT) + theta.visible_bias[:, None]


def log_unnormalised(theta: Rbm, x: Tensor) -> Tensor:
    """log p*(x) = b.x + sum_k softplus(c_k + x.W_k), minus the free energy, in nats: [R, B]."""
    return torch.matmul(x, theta.visible_bias[..., None])[..., 0] + softplus(hidden_logits(theta, x)).sum(-1)


def log_unnormalised_hidden(theta: Rbm, h: Tensor) -> Tensor:
    """log p*(h) = c.h + sum_j softplus(b_j + W_j.h), x summed out, in nats: [R, C]."""
    return torch.matmul(h, theta.hidden_bias[..., None])[..., 0] + softplus(visible_logits(theta, h)).sum(-1)


def gradient(theta: Rbm, x: Tensor, weights: Tensor) -> Rbm:
    """sum_b weights_b d log p*(x_b): x h^T for W, x for b and h for c, where h = p(h = 1 | x)."""
    h = torch.sigmoid(hidden_logits(theta, x)) * weights[..., None]
    visible = torch.matmul(weights[:, None], x)[:, 0]
    return Rbm(torch.matmul(x.mT, h), visible.expand(theta.visible_bias.shape), h.sum(1))


def log_ratios(theta: Rbm, x: Tensor, units: Tensor | None = None) -> Tensor:
    """log p*(x) - log p*(x with bit j flipped), [R, B, K], for all bits j or those of `units` [K] or [B, K], without a
    product each.
    """
    own = torch.arange(x.shape[-1])[None] if units is None else units.view(-1, units.shape[-1])
    a = hidden_logits(theta, x)
    turn = 1 - 2 * of_units(x, units)  # flipping bit j adds turn_j W_j to the hidden logits
    rows, bias = theta.weight[:, own], theta.visible_bias[:, own]  # [R, 1 or B, K, ...]
    moves = zip(turn.unbind(-1), rows.unbind(2), strict=True)
    there = [softplus(a + t[..., None] * w).sum(-1) for t, w in moves]
    return softplus(a).sum(-1, keepdim=True) - torch.stack(there, -1) - turn * bias


@torch.no_grad()
def gibbs(theta: Rbm, x: Tensor, uniforms: Tensor) -> Tensor:
    """h given x by the first H uniforms, then x given h by the other D: [R or 1, B, H + D] -> [R, B, D]."""
    to_hidden, to_visible = uniforms.split((theta.hidden_bias.shape[-1], theta.visible_bias.shape[-1]), -1)
    h = bernoulli.sample(hidden_logits(theta, x), to_hidden)
    return bernoulli.sample(visible_logits(theta, h), to_visible)


def base(theta: Rbm, mean: Tensor | None) -> Base:
    """The base-rate machine (Salakhutdinov & Murray 2008): W = 0 and c = 0, b from the mean, or zero without one.

    A machine without weights is its own.
    """
    b, c = torch.zeros_like(theta.visible_bias), torch.zeros_like(theta.hidden_bias)
    if mean is not None:
        b = b + bias_of(mean).to(b)
    still = ~theta.weight.flatten(1).any(-1, keepdim=True)
    b, c = torch.where(still, theta.visible_bias, b), torch.where(still, theta.hidden_bias, c)
    return Base(Rbm(torch.zeros_like(theta.weight), b, c), softplus(b).sum(-1) + softplus(c).sum(-1))


RBM = Family(
    "RBM",
    BITS,
    lambda theta: theta.visible_bias.shape[-1],
    log_unnormalised,
    gradient,
    log_ratios,
    gibbs,
    lambda theta: theta.hidden_bias.shape[-1] + theta.visible_bias.shape[-1],
    base,
    Hidden(lambda theta: theta.hidden_bias.shape[-1], log_unnormalised_hidden),
)
