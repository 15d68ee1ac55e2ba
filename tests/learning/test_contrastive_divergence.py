"""Contrastive divergence in general: the two phases of a model small enough to be enumerated."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.learning.contrastive_divergence import contrastive_divergence, steps_at


class Tilt(NamedTuple):
    """log p*(x) = slope . x for x in {0, 1, 2}."""

    slope: Tensor


def phase(x: Tensor) -> Tilt:
    return Tilt(x.sum(0))


def test_the_gradient_is_that_of_x_less_that_of_the_chain_s_end() -> None:
    x = torch.tensor([[1.0], [2.0]])
    seen: list[int] = []

    def transition(state: Tensor, step: int) -> Tensor:
        seen.append(step)
        return state * 3

    gradient, end = contrastive_divergence(x, 2, transition, phase)
    assert seen == [0, 1]
    assert torch.equal(end, x * 9)
    assert gradient == Tilt(torch.tensor([3.0 - 27.0]))


def test_a_chain_that_reaches_the_model_gives_the_gradient_of_the_likelihood() -> None:
    """With the model's own states, weighted by their probabilities, for the chain's end."""
    slope = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    states, x = torch.arange(3).double(), torch.tensor([2.0, 0.0, 1.0, 2.0]).double()
    log_p = torch.log_softmax(slope * states, 0)
    (exact,) = torch.autograd.grad(log_p[x.long()].sum(), slope)
    p = log_p.detach().exp()
    gradient, _ = contrastive_divergence(x, 1, lambda *_: len(x) * p * states, phase)
    torch.testing.assert_close(gradient.slope, exact, rtol=0, atol=1e-12)
    worse, _ = contrastive_divergence(x, 1, lambda *_: len(x) * p.flip(0) * states, phase)  # control
    assert (worse.slope - exact).abs() > 0.1


def test_steps_grow_in_equal_parts() -> None:
    assert [steps_at(t, 10, 5) for t in range(10)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert {steps_at(t, 10, 1) for t in range(10)} == {1}


def test_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="steps=0: CD needs at least one step"):
        contrastive_divergence(torch.zeros(1, 1), 0, lambda x, _: x, phase)
