"""Fast weights (Tieleman & Hinton 2009): what keeps persistent chains moving when the model learns slowly.

Chains take their steps under theta + fast, where fast follows the same gradient at a larger rate of its own and fades:
where a chain rests, its energy rises at once, and it moves on. The model itself is theta alone.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from nvil_repro.models.unnormalised import like

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])
DECAY = 19 / 20  # of the fast weights, an update


def overlaid(theta: Theta, fast: Theta) -> Theta:
    """theta + fast, what the chains see."""
    return like(theta, [p + f for p, f in zip(theta, fast, strict=True)])


def followed(fast: Theta, slopes: Theta, rate: float, decay: float = DECAY) -> Theta:
    """decay fast + rate slopes: the fast weights after an update along these slopes."""
    return like(fast, [decay * f + rate * slope for f, slope in zip(fast, slopes, strict=True)])
