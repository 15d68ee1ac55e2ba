"""NADE, the neural autoregressive distribution estimator (Larochelle & Murray 2011), R replicas at a time.

p(x) = prod_d p(x_d | x_<d), p(x_d = 1 | x_<d) = sigma(b_d + V_d . h_d), h_d = sigma(c + sum_{k<d} x_k W_k).

The units keep the order they have in the data, row by row of an image; permute the columns of x for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.arrays import bits

CASES = 500  # at once, which bounds the memory


class Nade(NamedTuple):
    """Parameters of R models of D bits with H hidden units."""

    weight: Tensor  # W [R, D, H], row k for x_k
    hidden_bias: Tensor  # c [R, H]
    output: Tensor  # V [R, D, H], row d for p(x_d)
    bias: Tensor  # b [R, D]


def nade(
    hidden: int, seeds: Sequence[int], *, train_mean: Tensor, dtype: torch.dtype = torch.float32
) -> Nade:
    """A fresh model of R = len(seeds) replicas for the bits whose training mean [D] is given.

    W is normal with standard deviation 1/sqrt(D) and V with 1/100, c is zero and b the log-odds of the smoothed
    training mean. Errors: `ValueError` if `hidden` is not positive, there is no seed, or `train_mean` is not
    [D] with entries in [0, 1].
    """
    if hidden < 1 or not seeds:
        raise ValueError(f"need hidden units and at least one seed, got hidden={hidden}, seeds={seeds}")
    if train_mean.ndim != 1 or not bool(((train_mean >= 0) & (train_mean <= 1)).all()):
        raise ValueError(
            f"train_mean must be [D] with entries in [0, 1], got shape {tuple(train_mean.shape)}"
        )
    shape = (len(train_mean), hidden)

    def normal(name: str, deviation: float) -> Tensor:
        each = [streams.normals(seed, f"init/nade/{name}", 0, shape, dtype) for seed in seeds]
        return torch.stack(each) * deviation

    odds = torch.logit(train_mean.to(torch.float64) * 0.98 + 0.01).to(dtype)
    return Nade(
        normal("weight", 1 / math.sqrt(len(train_mean))),
        torch.zeros(len(seeds), hidden, dtype=dtype),
        normal("output", 0.01),
        odds.repeat(len(seeds), 1),
    )


def log_prob(model: Nade, x: Tensor) -> Tensor:
    """log P(x) in nats, exactly: zeros and ones [N, D], any dtype -> [R, N].

    Differentiable; in bounded memory where no gradient is asked for.

    Errors: `ValueError` if x is not [N, D] of zeros and ones.
    """
    parts = bits("x", x, model.bias.shape[-1]).to(model.bias.dtype).split(CASES)
    return torch.cat([bernoulli.log_prob(logits(model, part), part) for part in parts], -1)


def logits(model: Nade, x: Tensor) -> Tensor:
    """Logits of p(x_d = 1 | x_<d): bits [B, D] -> [R, B, D]."""
    return _walk(model, len(x), lambda d, _: x[:, d])[0]


def draw(model: Nade, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Ancestral samples from uniforms [R or 1, B, D], and the probabilities they were drawn by: each [R, B, D]."""
    a, x = _walk(model, uniforms.shape[1], lambda d, a_d: bernoulli.sample(a_d, uniforms[..., d]))
    return x, torch.sigmoid(a)


def mean_images(model: Nade, cases: int, seed: int) -> Tensor:
    """p(x_d = 1 | x_<d) at ancestral samples: [R, cases, D]; smoother to look at than x itself."""
    shape = (1, cases, model.bias.shape[-1])
    return draw(model, streams.uniforms(seed, "draw/nade", 0, shape, model.bias.dtype))[1]


def _walk(model: Nade, cases: int, choose: Callable[[int, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Unit after unit: logits and bits [R, B, D]; choose(d, logits of x_d [R, B]) gives x_d, [B] or [R, B]."""
    replicas, hidden = model.hidden_bias.shape
    inputs = model.hidden_bias[:, None].expand(replicas, cases, hidden)
    a, x = [], []
    for d in range(model.bias.shape[-1]):
        h = torch.sigmoid(inputs)
        a.append(torch.matmul(h, model.output[:, d, :, None])[..., 0] + model.bias[:, d, None])
        x.append(choose(d, a[-1]).expand(replicas, cases))
        inputs = inputs + x[-1][..., None] * model.weight[:, d, None]
    return torch.stack(a, -1), torch.stack(x, -1)
