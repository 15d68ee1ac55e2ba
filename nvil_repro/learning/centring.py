"""Centred restricted Boltzmann machines (Montavon & Mueller 2012; Melchior, Fischer & Wiskott 2016).

With offsets mu, lambda the energy -(x - mu).b' - (h - lambda).c' - (x - mu) W (h - lambda) is, up to a constant, that
of an ordinary machine with b = b' - W lambda and c = c' - mu W. So parameters here stay the ordinary ones: a gradient
is taken into the coordinates W, b', c', and a step made there is taken back. The model never depends on the offsets,
only the direction in which it learns does, which no longer changes when bits change their meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.models.rbm import Rbm


class Offsets(NamedTuple):
    """What is subtracted from the units, in [0, 1]."""

    visible: Tensor  # mu [R, D]
    hidden: Tensor  # lambda [R, H]


def to_centred(slopes: Rbm, offsets: Offsets) -> Rbm:
    """d / d(W, b', c') from d / d(W, b, c): only W's changes, by -mu d/dc - d/db lambda."""
    mu, lam = offsets
    weight = slopes.weight - mu[..., None] * slopes.hidden_bias[:, None]
    return slopes._replace(weight=weight - slopes.visible_bias[..., None] * lam[:, None])


def from_centred(step: Rbm, offsets: Offsets) -> Rbm:
    """The step of (W, b, c) that a step of (W, b', c') makes, dW lambda less for b and mu dW less for c."""
    mu, lam = offsets
    return Rbm(
        step.weight,
        step.visible_bias - torch.matmul(step.weight, lam[..., None])[..., 0],
        step.hidden_bias - torch.matmul(mu[:, None], step.weight)[:, 0],
    )


def move(offsets: Offsets, x: Tensor, h: Tensor, rate: float) -> Offsets:
    """Offsets moved by `rate` in [0, 1] towards the means of cases x [R or 1, B, D] and of p(h = 1 | x) [R, B, H]."""
    return Offsets(*(o.lerp(mean.mean(1), rate) for o, mean in zip(offsets, (x, h), strict=True)))
