"""A mixture of Bernoullis, R replicas at a time: P(x) = sum_k pi_k prod_j Bernoulli(x_j; mu_kj)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.arrays import bits
from nvil_repro.models.bernoulli import softplus

CASES = 1_000  # at once, which bounds the memory


class Mixture(NamedTuple):
    """Parameters of R mixtures of K components over D bits."""

    log_weight: Tensor  # log pi [R, K], -inf for a component that is never drawn
    logits: Tensor  # log mu / (1 - mu) [R, K, D]


def mixture(
    components: int, seeds: Sequence[int], x: Tensor, *, dtype: torch.dtype = torch.float32
) -> Mixture:
    """Fresh mixtures, one per seed, of equal weights: mu_k is halfway from the mean of the cases x [N, D] to one of
    them, a different one for each k.

    Errors: `ValueError` if there is no seed or not 1 <= components <= N.
    """
    if not 1 <= components <= len(x) or not seeds:
        raise ValueError(
            f"need 1 to {len(x)} components, the number of cases, and at least one seed, "
            f"got components={components}, seeds={seeds}"
        )
    mean = x.sum(0, dtype=torch.int64).to(torch.float64) / len(x) * 0.98 + 0.01
    chosen = [streams.stream(seed, "init/mixture").permutation(len(x))[:components] for seed in seeds]
    mu = torch.stack([(x[torch.from_numpy(cases)] + mean) / 2 for cases in chosen])
    log_weight = torch.full((len(seeds), components), 1 / components, dtype=torch.float64).log()
    return Mixture(log_weight.to(dtype), torch.logit(mu).to(dtype))


def log_joint(model: Mixture, x: Tensor) -> Tensor:
    """log pi_k + log P(x | k) in nats: bits [N, D] of the model's dtype -> [R, N, K]."""
    constant = model.log_weight - softplus(model.logits).sum(-1)
    return torch.matmul(x, model.logits.mT) + constant[:, None]


def log_prob(model: Mixture, x: Tensor) -> Tensor:
    """log P(x) in nats: zeros and ones [N, D], any dtype -> [R, N]; in bounded memory.

    Errors: `ValueError` if x is not [N, D] of zeros and ones.
    """
    parts = bits("x", x, model.logits.shape[-1]).split(CASES)
    return torch.cat([log_joint(model, part.to(model.logits.dtype)).logsumexp(-1) for part in parts], -1)


def draw(model: Mixture, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Samples from uniforms [R or 1, N, 1 + D], and their components' mu: each [R, N, D].

    The first uniform picks the component, the others the bits.
    """
    edges = model.log_weight.exp().cumsum(-1)
    below = (uniforms[..., :1] * edges[:, None, -1:]) >= edges[:, None]  # so that they need not sum to one
    k = below.sum(-1, keepdim=True)
    a = torch.take_along_dim(model.logits, k, 1)
    return bernoulli.sample(a, uniforms[..., 1:]), torch.sigmoid(a)


def mean_images(model: Mixture, cases: int, seed: int) -> Tensor:
    """mu of components drawn by their weights: [R, cases, D]."""
    shape = (1, cases, 1 + model.logits.shape[-1])
    return draw(model, streams.uniforms(seed, "draw/mixture", 0, shape, model.logits.dtype))[1]
