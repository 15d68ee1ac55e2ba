"""A linear map and the input-dependent baseline, each with a leading replica axis R."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Linear(NamedTuple):
    """`weight` [R, in, out] and `bias` [R, out] of R independent linear maps."""

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """[R or 1, B, in] -> [R, B, out]."""
        return torch.matmul(inputs, self.weight) + self.bias[:, None]


class Baseline(NamedTuple):
    """C_psi(x), the input-dependent baseline (IDB): tanh units and one linear output (section 2.3)."""

    hidden: Linear
    output: Linear

    def __call__(self, inputs: Tensor) -> Tensor:
        """[R or 1, B, in] -> [R, B]."""
        return self.output(torch.tanh(self.hidden(inputs))).squeeze(-1)
