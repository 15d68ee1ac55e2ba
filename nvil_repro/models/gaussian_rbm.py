"""The Gaussian-Bernoulli RBM (Welling, Rosen-Zvi & Hinton 2005), R replicas at a time: reals x above bits h.

E(x, h) = sum_j (x_j - b_j)^2 / (2 s_j^2) - c.h - sum_jk (x_j / s_j) W_jk h_k with s = exp(log_sd), as Hinton's
practical guide (2010, equation 17) has it: x_j given h is normal around b_j + s_j W_j.h with standard deviation s_j,
and log p*(x) = -|(x - b) / s|^2 / 2 + sum_k softplus(c_k + (x / s).W_k), h summed out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.unnormalised import REALS, Base, Family, Hidden


class GaussianRbm(NamedTuple):
    """Parameters of R machines of D visible and H hidden units."""

    weight: Tensor  # W [R, D, H]
    visible_bias: Tensor  # b [R, D], in the units of x
    hidden_bias: Tensor  # c [R, H]
    log_sd: Tensor  # log s [R, D]


def gaussian_rbm(
    hidden: int,
    seeds: Sequence[int],
    *,
    mean: Tensor,
    sd: Tensor,
    scale: float = 0.01,
    dtype: torch.dtype = torch.float32,
) -> GaussianRbm:
    """Fresh machines, one a seed: W normal with standard deviation `scale`, c zero, and b and s what the data's `mean`
    and `sd` [D] are.

    Errors: `ValueError` if `hidden` is not positive, there is no seed, or a standard deviation is not positive.
    """
    if hidden < 1 or not seeds:
        raise ValueError(f"need hidden units and at least one seed, got hidden={hidden}, seeds={seeds}")
    if not bool((sd > 0).all()):
        raise ValueError(
            f"the least standard deviation is {sd.min()}: expected above 0; leave out constant columns"
        )
    weights = [streams.normals(seed, "init/gaussian_rbm", 0, (len(mean), hidden), dtype) for seed in seeds]
    return GaussianRbm(
        torch.stack(weights) * scale,
        mean.to(dtype).repeat(len(seeds), 1),
        torch.zeros(len(seeds), hidden, dtype=dtype),
        sd.log().to(dtype).repeat(len(seeds), 1),
    )


def hidden_logits(theta: GaussianRbm, x: Tensor) -> Tensor:
    """Logits of p(h_k = 1 | x), c_k + (x / s).W_k: [R or 1, B, D] -> [R, B, H]."""
    return torch.matmul(x / theta.log_sd.exp()[:, None], theta.weight) + theta.hidden_bias[:, None]


def visible_mean(theta: GaussianRbm, h: Tensor) -> Tensor:
    """E[x_j | h] = b_j + s_j W_j.h: [R or 1, B, H] -> [R, B, D]."""
    return theta.visible_bias[:, None] + theta.log_sd.exp()[:, None] * torch.matmul(h, theta.weight.mT)


def standardised(theta: GaussianRbm, x: Tensor) -> Tensor:
    """(x - b) / s: [R or 1, B, D] -> [R, B, D]."""
    return (x - theta.visible_bias[:, None]) / theta.log_sd.exp()[:, None]


def log_unnormalised(theta: GaussianRbm, x: Tensor) -> Tensor:
    """log p*(x) = -|(x - b) / s|^2 / 2 + sum_k softplus(c_k + (x / s).W_k), in nats: [R, B]."""
    return softplus(hidden_logits(theta, x)).sum(-1) - standardised(theta, x).square().sum(-1) / 2


def log_unnormalised_hidden(theta: GaussianRbm, h: Tensor) -> Tensor:
    """log p*(h) = c.h + sum_j (log(s_j sqrt(2 pi)) + a_j^2 / 2 + a_j b_j / s_j), a = W h, x integrated out: [R, C]."""
    a = torch.matmul(h, theta.weight.mT)
    turned = torch.matmul(a, (theta.visible_bias / theta.log_sd.exp())[..., None])[..., 0]
    mine = torch.matmul(h, theta.hidden_bias[..., None])[..., 0]
    return mine + turned + a.square().sum(-1) / 2 + log_volume(theta)[:, None]


def log_volume(theta: GaussianRbm) -> Tensor:
    """sum_j log(s_j sqrt(2 pi)), what normalises x where W = 0: [R]."""
    return (theta.log_sd + math.log(2 * math.pi) / 2).sum(-1)


def gradient(theta: GaussianRbm, x: Tensor, weights: Tensor) -> GaussianRbm:
    """sum_b weights_b d log p*(x_b), where h = p(h = 1 | x): (x / s) h^T for W, (x - b) / s^2 for b, h for c and
    (x - b)^2 / s^2 - (x / s) (W h) for log s.
    """
    sd = theta.log_sd.exp()[:, None]
    scaled, y, h = x / sd, standardised(theta, x), torch.sigmoid(hidden_logits(theta, x))
    stretch = y.square() - scaled * torch.matmul(h, theta.weight.mT)
    weighted = h * weights[..., None]

    def total(terms: Tensor) -> Tensor:
        return (terms * weights[..., None]).sum(1)

    return GaussianRbm(torch.matmul(scaled.mT, weighted), total(y / sd), weighted.sum(1), total(stretch))


def score_and_curvature(theta: GaussianRbm, x: Tensor) -> tuple[Tensor, Tensor]:
    """d log p*/dx_j and d^2 log p*/dx_j^2, what score matching is made of: [R or 1, B, D] -> [R, B, D] each."""
    sd, h = theta.log_sd.exp()[:, None], torch.sigmoid(hidden_logits(theta, x))
    score = (torch.matmul(h, theta.weight.mT) - standardised(theta, x)) / sd
    return score, (torch.matmul(h * (1 - h), theta.weight.square().mT) - 1) / sd.square()


@torch.no_grad()
def gibbs(theta: GaussianRbm, x: Tensor, uniforms: Tensor) -> Tensor:
    """h given x by the first H uniforms, then x given h by the other D: [R or 1, B, H + D] -> [R, B, D]."""
    to_hidden, to_visible = uniforms.split((theta.hidden_bias.shape[-1], theta.visible_bias.shape[-1]), -1)
    h = bernoulli.sample(hidden_logits(theta, x), to_hidden)
    inside = to_visible.clamp_min(
        torch.finfo(uniforms.dtype).eps / 4
    )  # 0 stands for what lies below the next one
    return visible_mean(theta, h) + theta.log_sd.exp()[:, None] * torch.special.ndtri(inside)


def base(theta: GaussianRbm, mean: Tensor | None) -> Base:
    """W = 0 and c = 0: independent normals of theta's own spread around the mean, or around theta's b without one."""
    b = theta.visible_bias if mean is None else mean.to(theta.visible_bias).expand_as(theta.visible_bias)
    log_z = log_volume(theta) + theta.hidden_bias.shape[-1] * math.log(2)
    still = torch.zeros_like(theta.weight), b.clone(), torch.zeros_like(theta.hidden_bias), theta.log_sd
    return Base(GaussianRbm(*still), log_z)


GAUSSIAN_RBM = Family(
    "Gaussian RBM",
    REALS,
    lambda theta: theta.visible_bias.shape[-1],
    log_unnormalised,
    gradient,
    None,
    gibbs,
    lambda theta: theta.hidden_bias.shape[-1] + theta.visible_bias.shape[-1],
    base,
    Hidden(lambda theta: theta.hidden_bias.shape[-1], log_unnormalised_hidden),
    score_and_curvature,
)
