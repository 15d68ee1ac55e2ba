"""A belief net with an undirected top: the deep belief net of Hinton, Osindero & Teh (2006), R replicas at a time.

P(x, h^1..h^L) = P(x | h^1) ... P(h^{L-1} | h^L) p(h^L), where p(h^L) is that of an RBM with hidden units of its own.
The net's prior is that machine's visible bias, so that without weights W there is nothing but the belief net; with
them log P(x, h) = log P*(x, h) - log Z, and only P* is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import belief_net, rbm
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.models.rbm import Rbm


class DeepBeliefNet(NamedTuple):
    """Parameters of R nets whose deepest layer h^L is the visible one of a machine with K hidden units."""

    net: BeliefNet  # directed layers, inference network, baselines; its prior is the visible bias of `top`
    weight: Tensor  # W [R, H_L, K]
    hidden_bias: Tensor  # c [R, K]

    @property
    def top(self) -> Rbm:
        """The machine whose p(h^L) stands for the prior."""
        return Rbm(self.weight, self.net.prior, self.hidden_bias)


def deep_belief_net(
    visible: int,
    layers: Sequence[int],
    top: int,
    seeds: Sequence[int],
    *,
    train_mean: Tensor,
    baseline_units: int = 100,
    scale: float = 0.01,
    dtype: torch.dtype = torch.float32,
) -> DeepBeliefNet:
    """A fresh `belief_net` below a machine of `top` hidden units, W normal with standard deviation `scale`, c zero.

    Errors: `ValueError` if a size is not positive, or as `belief_net`.
    """
    if top < 1:
        raise ValueError(f"top={top}: expected at least one hidden unit above the deepest layer")
    net = belief_net.belief_net(
        visible, layers, seeds, train_mean=train_mean, baseline_units=baseline_units, scale=scale, dtype=dtype
    )
    weights = [streams.normals(seed, "init/top", 0, (layers[-1], top), dtype) for seed in seeds]
    return DeepBeliefNet(net, torch.stack(weights) * scale, torch.zeros(len(seeds), top, dtype=dtype))


def log_p_terms(model: DeepBeliefNet, x: Tensor, h: Sequence[Tensor]) -> Tensor:
    """log P(h^i | h^{i+1}) in nats, i = 0..L-1 with h^0 = x, and log p*(h^L), which lacks log Z, last: [L+1, R, B]."""
    *directed, _ = belief_net.log_p_terms(model.net, x, h)
    return torch.stack([*directed, rbm.log_unnormalised(model.top, h[-1])])


def log_weight(model: DeepBeliefNet, x: Tensor, h: Sequence[Tensor]) -> Tensor:
    """log P*(x, h) - log Q(h | x), of h ~ Q a sample of the bound plus log Z, in nats: [R, B]."""
    return log_p_terms(model, x, h).sum(0) - belief_net.log_q_terms(model.net, x, h).sum(0)


def mean_images(model: DeepBeliefNet, h: Tensor, uniforms: Sequence[Tensor] = ()) -> Tensor:
    """P(x_j = 1 | h^1) below states h^L [R, C, H_L] of the machine's chains; from `uniforms` [R or 1, C, H_i] for the
    layers between, deepest first: [R, C, D].
    """
    lowest, *deeper = model.net.generative
    for p, u in zip(reversed(deeper), uniforms, strict=True):
        h = p.sample(h, u)
    return torch.sigmoid(lowest.feedforward(h))


def parameters(model: DeepBeliefNet) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every trained parameter, those of the net as `belief_net.parameters` names them."""
    yield from belief_net.parameters(model.net)
    yield "model/top/weight", model.weight
    yield "model/top/hidden_bias", model.hidden_bias


def with_parameters(model: DeepBeliefNet, tensors: Iterable[Tensor]) -> DeepBeliefNet:
    """The model with other tensors of the same shapes, in the order of `parameters(model)`."""
    *below, weight, hidden_bias = tensors
    return DeepBeliefNet(belief_net.with_parameters(model.net, below), weight, hidden_bias)
