"""Contrastive divergence (Hinton 2002) for any model of which p(x) = p*(x) / Z is known but for Z.

The gradient of log p(x) is that of log p*(x) less its mean under the model; CD-k puts x_k in place of that mean, what k
steps of a Markov chain that leaves the model's distribution as it is make of x_0 = x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

Visible = TypeVar("Visible")
Parameters = TypeVar("Parameters", bound=tuple[Tensor, ...])


def contrastive_divergence(
    x: Visible,
    steps: int,
    transition: Callable[[Visible, int], Visible],
    gradient: Callable[[Visible], Parameters],
) -> tuple[Parameters, Visible]:
    """The CD-k gradient for k = `steps`, to ascend, and x_k.

    transition(x_i, i) is x_{i+1}, and all that is random; gradient(x) is that of log p*(x), summed over a minibatch, a
    NamedTuple of tensors.
    Errors: `ValueError` if `steps` is not positive.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: CD needs at least one step, or its gradient is zero")
    chain = x
    for step in range(steps):
        chain = transition(chain, step)
    return contrast(gradient(x), gradient(chain)), chain


def contrast(positive: Parameters, negative: Parameters) -> Parameters:
    """The positive phase less the negative one."""
    return type(positive)(*(p - n for p, n in zip(positive, negative, strict=True)))


def steps_at(update: int, updates: int, most: int) -> int:
    """k at `update`, from 0, of a training of `updates`: 1 to `most`, each for an equal part of it."""
    return 1 + most * update // updates
