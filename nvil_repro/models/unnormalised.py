"""Models of which p(x) = p*(x; theta) / Z(theta) is known but for Z: all that training and estimation ask of them.

A kind of model is a `Family` of pure functions; its parameters theta are a NamedTuple of tensors, R replicas first
(a single number is [R, 1]), and cases x are [R or 1, B, D]. Your own energy is a family from one function:

    def log_unnormalised(theta, x): ...                     # -E(x), [R, B], differentiable by autograd
    mine = energy_family("mine", log_unnormalised)          # bits: its Gibbs step follows
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from nvil_repro.models import bernoulli

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])

BITS, REALS = "bits", "reals"


class Base(NamedTuple):
    """A member of a family whose Z is known, and of which a Gibbs step from anywhere is an exact sample."""

    theta: Any
    log_z: Tensor  # [R], in nats


class Hidden(NamedTuple):
    """Hidden units that a family sums out: Z is the sum of p*(h) over their 2^units states too.

    The family's `gibbs` draws h by the first `units` uniforms, each unit on where its own lies below p(h = 1 | x), and
    by the rest x given h alone. So the step is reversible in x, and uniforms outside [0, 1] choose its h.
    """

    units: Callable[[Any], int]
    log_unnormalised: Callable[[Any, Tensor], Tensor]  # (theta, h [R or 1, C, units]) -> log p*(h) [R, C]


class Family(NamedTuple):
    """What a kind of unnormalised model supplies; what it lacks is None, and those who need it say so.

    `visible(theta)`: D, the units of x.
    `log_unnormalised(theta, x)`: log p*(x) [R, B] in nats, differentiable.
    `gradient(theta, x, weights [R or 1, B])`: sum_b weights_b d log p*(x_b) / d theta, shaped like theta.
    `log_ratios(theta, x, units=None)`: log p*(x) - log p*(x with bit j flipped), [R, B, K], differentiable, for all D
    bits j or those of `units` (int64): [K], or [B, K] if each case has its own; bits only.
    `gibbs(theta, x, uniforms [R or 1, B, K])`: a step that leaves p as it is, K = `uniforms(theta)`.
    `base(theta, mean [D] or None)`: where annealing begins, near data of this mean (None: nothing is known of them).
    `score_and_curvature(theta, x)`: d log p*(x) / dx_j and d^2 log p*(x) / dx_j^2, [R, B, D] each, differentiable in
    theta; reals only, and without it autograd finds them.
    """

    name: str
    support: str  # what x is made of: "bits" or "reals"
    visible: Callable[[Any], int]
    log_unnormalised: Callable[[Any, Tensor], Tensor]
    gradient: Callable[[Any, Tensor, Tensor], Any]
    log_ratios: Callable[..., Tensor] | None = None
    gibbs: Callable[[Any, Tensor, Tensor], Tensor] | None = None
    uniforms: Callable[[Any], int] | None = None
    base: Callable[[Any, Tensor | None], Base] | None = None
    hidden: Hidden | None = None
    score_and_curvature: Callable[[Any, Tensor], tuple[Tensor, Tensor]] | None = None


def energy_family(
    name: str,
    log_unnormalised: Callable[[Any, Tensor], Tensor],
    *,
    visible: int,
    support: str = BITS,
    base: Callable[[Any, Tensor | None], Base] | None = None,
) -> Family:
    """A family from its -E(x) alone, of `visible` units: gradients by autograd, for bits one unit at a time by Gibbs.

    Errors: `ValueError` for an unknown support.
    """
    if support not in (BITS, REALS):
        raise ValueError(f"support={support!r}: expected {BITS!r} or {REALS!r}")
    binary = support == BITS

    def units(theta: Any) -> int:
        return visible

    return Family(
        name,
        support,
        units,
        log_unnormalised,
        partial(autograd_gradient, log_unnormalised),
        partial(flipped_log_ratios, log_unnormalised) if binary else None,
        partial(site_gibbs, log_unnormalised) if binary else None,
        units if binary else None,
        base,
    )


def autograd_gradient(
    log_unnormalised: Callable[[Theta, Tensor], Tensor], theta: Theta, x: Tensor, weights: Tensor
) -> Theta:
    """sum_b weights_b d log p*(x_b) / d theta, by autograd."""
    with torch.enable_grad():
        leaves = [part.detach().requires_grad_() for part in theta]
        total = (log_unnormalised(like(theta, leaves), x) * weights).sum()
        found = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    return like(theta, found)


def flipped_log_ratios(
    log_unnormalised: Callable[[Theta, Tensor], Tensor],
    theta: Theta,
    x: Tensor,
    units: Tensor | None = None,
) -> Tensor:
    """log p*(x) - log p*(x with bit j flipped), [R, B, K], for all bits j or those of `units` [K] or [B, K], by log p*
    of one flip at a time.
    """
    here, columns = log_unnormalised(theta, x), torch.arange(x.shape[-1]) if units is None else units
    return torch.stack([here - log_unnormalised(theta, flip(x, j)) for j in columns.unbind(-1)], -1)


@torch.no_grad()
def site_gibbs(
    log_unnormalised: Callable[[Theta, Tensor], Tensor], theta: Theta, x: Tensor, uniforms: Tensor
) -> Tensor:
    """A sweep of Gibbs steps over the bits, from the first to the last: p(x_j = 1 | rest) by log p* of both."""
    x = x.expand(len(theta[0]), *x.shape[1:]).clone()
    for j in range(x.shape[-1]):
        x[..., j] = 1
        on = log_unnormalised(theta, x)
        x[..., j] = 0
        x[..., j] = bernoulli.sample(on - log_unnormalised(theta, x), uniforms[..., j])
    return x


def flip(x: Tensor, j: int | Tensor) -> Tensor:
    """x [R or 1, B, D] with bit j flipped, or in each case its own of j [B], on fresh memory."""
    here = torch.as_tensor(j)[..., None].expand(*x.shape[:-1], 1)
    return x.scatter(-1, here, 1 - x.gather(-1, here))


def of_units(values: Tensor, units: Tensor | None) -> Tensor:
    """Of values [R, B, D] those of `units` [K] or [B, K]: [R, B, K]; all if there are none."""
    return values if units is None else values.gather(-1, units.expand(*values.shape[:2], -1))


def between(first: Theta, last: Theta, b: float) -> Theta:
    """Parameters (1 - b) first + b last: a path of models of one family, b from 0 to 1."""
    return like(last, [p.lerp(q, b) for p, q in zip(first, last, strict=True)])


def check_finite(theta: Any) -> None:
    """Errors: `ValueError` naming a parameter that is not finite, and where."""
    for name, part in zip(theta._fields, theta, strict=True):
        if wrong := (~part.isfinite()).nonzero().tolist():
            value = part[tuple(wrong[0])].item()
            raise ValueError(f"{name} holds {value} at {wrong[0]}: all parameters must be finite")


def like(theta: Theta, parts: Any) -> Theta:
    """The given tensors as parameters of theta's kind."""
    return type(theta)(*parts)
