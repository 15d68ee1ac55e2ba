"""The Boltzmann machine (Ackley, Hinton & Sejnowski 1985) of which every unit is seen, R replicas at a time.

E(x) = -b.x - sum_{i<j} U_ij x_i x_j (equation 20.1). No unit is hidden, so the model is small and its Z a sum over all
of x: what needs no such sum can be held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.rbm import bias_of
from nvil_repro.models.unnormalised import BITS, Base, Family, of_units


class Boltzmann(NamedTuple):
    """Parameters of R machines of D units; of U what lies above the diagonal counts, each pair once."""

    coupling: Tensor  # U [R, D, D]
    bias: Tensor  # b [R, D]


def boltzmann(
    seeds: Sequence[int], *, mean: Tensor, scale: float = 0.01, dtype: torch.dtype = torch.float32
) -> Boltzmann:
    """Fresh machines, one a seed: U normal with standard deviation `scale`, and b such that U = 0 has nearly this
    `mean` [D] of the units.

    Errors: `ValueError` if there is no seed, or a mean lies outside [0, 1].
    """
    if not seeds:
        raise ValueError(f"need at least one seed, got seeds={seeds}")
    shape = len(mean), len(mean)
    u = torch.stack([streams.normals(seed, "init/boltzmann", 0, shape, dtype) for seed in seeds])
    return Boltzmann(strictly_upper(u) * scale, bias_of(mean).to(dtype).repeat(len(seeds), 1))


def log_unnormalised(theta: Boltzmann, x: Tensor) -> Tensor:
    """log p*(x) = b.x + sum_{i<j} U_ij x_i x_j, in nats: [R or 1, B, D] -> [R, B]."""
    inputs = torch.matmul(x, strictly_upper(theta.coupling)) + theta.bias[:, None]
    return (inputs * x).sum(-1)


def logits(theta: Boltzmann, x: Tensor) -> Tensor:
    """Logits of p(x_j = 1 | the others), b_j + sum_i (U + U^T)_ij x_i: [R, B, D]."""
    return torch.matmul(x, _symmetric(theta)) + theta.bias[:, None]


def log_ratios(theta: Boltzmann, x: Tensor, units: Tensor | None = None) -> Tensor:
    """log p*(x) - log p*(x with bit j flipped) for all bits j or those of `units` [K] or [B, K]: the unit's logit, or
    less it where the bit is off, [R, B, K].
    """
    return of_units((2 * x - 1) * logits(theta, x), units)


def gradient(theta: Boltzmann, x: Tensor, weights: Tensor) -> Boltzmann:
    """sum_b weights_b d log p*(x_b): x x^T above the diagonal for U, x for b."""
    weighted = x * weights[..., None]
    found = Boltzmann(strictly_upper(torch.matmul(x.mT, weighted)), weighted.sum(1))
    return Boltzmann(*(part.expand_as(own) for part, own in zip(found, theta, strict=True)))


@torch.no_grad()
def gibbs(theta: Boltzmann, x: Tensor, uniforms: Tensor) -> Tensor:
    """A sweep from the first unit to the last, each given all others as they are by then: [R, B, D]."""
    x, weight = x.expand(len(theta.bias), *x.shape[1:]).clone(), _symmetric(theta)
    for j in range(x.shape[-1]):
        logit = torch.matmul(x, weight[:, :, j, None])[..., 0] + theta.bias[:, None, j]
        x[..., j] = bernoulli.sample(logit, uniforms[..., j])
    return x


def base(theta: Boltzmann, mean: Tensor | None) -> Base:
    """U = 0, b from the mean, or zero without one."""
    b = torch.zeros_like(theta.bias)
    if mean is not None:
        b = b + bias_of(mean).to(b)
    return Base(Boltzmann(torch.zeros_like(theta.coupling), b), softplus(b).sum(-1))


def _symmetric(theta: Boltzmann) -> Tensor:
    upper = strictly_upper(theta.coupling)
    return upper + upper.mT


BOLTZMANN = Family(
    "Boltzmann machine",
    BITS,
    lambda theta: theta.bias.shape[-1],
    log_unnormalised,
    gradient,
    log_ratios,
    gibbs,
    lambda theta: theta.bias.shape[-1],
    base,
)
