"""The maps a belief net is made of, each with a leading replica axis R."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.models import autoregressive, bernoulli

NONE = torch.zeros(0)  # no lateral weights


class Linear(NamedTuple):
    """`weight` [R, in, out] and `bias` [R, out] of R independent linear maps."""

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """[R or 1, B, in] -> [R, B, out]."""
        return torch.matmul(inputs, self.weight) + self.bias[:, None]


class Conditional(NamedTuple):
    """A layer of bits given its inputs: Bernoulli units with linear logits.

    Factorial, or autoregressive where `lateral` [R, out, out] is given: its weight [k, j] feeds unit j > k.
    """

    weight: Tensor  # [R, in, out]
    bias: Tensor  # [R, out]
    lateral: Tensor = NONE

    @property
    def autoregressive(self) -> bool:
        return self.lateral.numel() > 0

    def feedforward(self, inputs: Tensor) -> Tensor:
        """What the inputs contribute to the logits: [R or 1, B, in] -> [R, B, out]."""
        return Linear(self.weight, self.bias)(inputs)

    def logits(self, inputs: Tensor, bits: Tensor) -> Tensor:
        """Logits of the bits [R or 1, B, out] given inputs [R or 1, B, in]: [R, B, out]."""
        return self.with_lateral(self.feedforward(inputs), bits)

    def with_lateral(self, feedforward: Tensor, bits: Tensor) -> Tensor:
        """`logits`, given `feedforward(inputs)` [R, B, out]."""
        return autoregressive.logits(feedforward, bits, self.lateral) if self.autoregressive else feedforward

    def draw(self, feedforward: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Bits [R, ..., out] and their log-probability [R, ...] in nats.

        From `feedforward(inputs)` [R, ..., out] and uniforms that broadcast with it.
        """
        if not self.autoregressive:
            bits = bernoulli.sample(feedforward, uniforms)
            return bits, bernoulli.log_prob(feedforward, bits)
        a, u = torch.broadcast_tensors(feedforward, uniforms)
        bits, log_prob = autoregressive.draw(a.flatten(1, -2), u.flatten(1, -2), self.lateral)
        return bits.view(a.shape), log_prob.view(a.shape[:-1])

    def sample(self, inputs: Tensor, uniforms: Tensor) -> Tensor:
        """Bits [R, B, out] given inputs [R or 1, B, in], from uniforms [R or 1, B, out]."""
        return self.draw(self.feedforward(inputs), uniforms)[0]


class Baseline(NamedTuple):
    """C_psi(x), the input-dependent baseline (IDB): tanh units and one linear output (section 2.3)."""

    hidden: Linear
    output: Linear

    def __call__(self, inputs: Tensor) -> Tensor:
        """[R or 1, B, in] -> [R, B]."""
        return self.of_units(self.units(inputs))

    def units(self, inputs: Tensor) -> Tensor:
        """The tanh units: [R or 1, B, in] -> [R, B, units]."""
        return torch.tanh(self.hidden(inputs))

    def of_units(self, units: Tensor) -> Tensor:
        """The baseline given its units: [R, B, units] -> [R, B]."""
        return self.output(units).squeeze(-1)
