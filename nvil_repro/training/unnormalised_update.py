"""One update by Markov chains, in place, for any family: the steps that `unnormalised_plan` numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nvil_repro.learning import centring
from nvil_repro.learning.centring import Offsets
from nvil_repro.learning.fast_weights import followed, overlaid
from nvil_repro.learning.markov_chains import phases, walk
from nvil_repro.models.rbm import RBM, Rbm, hidden_logits
from nvil_repro.models.unnormalised import Family, like
from nvil_repro.training.optimisers import direction
from nvil_repro.training.unnormalised_plan import PERSISTENT, RbmPlan


def update_rbm(
    theta: Rbm,
    moments: Sequence[Rbm],
    chains: Tensor,
    fast: Rbm | None,
    offsets: Offsets | None,
    x: Tensor,
    uniforms: Iterable[Tensor],
    plan: RbmPlan,
    rate: float,
    update: int,
) -> Tensor:
    """Move machines, moments, chains [R, C, D], fast weights and offsets; the free-energy gap [R].

    x [R or 1, B, D] in the dtype of theta; `uniforms`, for each Gibbs step [B or C, H + D], serve h first, then x.
    """
    move = partial(walk, RBM, uniforms=uniforms)
    return update_by_chains(RBM, theta, moments, chains, fast, offsets, x, move, plan, rate, update)


@torch.no_grad()
def update_by_chains(
    family: Family,
    theta: Any,
    moments: Sequence[Any],
    chains: Tensor,
    fast: Any | None,
    offsets: Offsets | None,
    x: Tensor,
    move: Callable[[Any, Tensor], Tensor],
    plan: RbmPlan,
    rate: float,
    update: int,
) -> Tensor:
    """The same for any family: move(theta, states) is what the Markov chain makes of states.

    Chains [R, M, C, D] are those of parallel tempering, the model's own last.
    """
    persistent = plan.criterion in PERSISTENT
    ends = move(theta if fast is None else overlaid(theta, fast), chains if persistent else x)
    if persistent:
        chains.copy_(ends)
    slopes, gap = phases(family, theta, x, ends[:, -1] if ends.ndim == 4 else ends)
    ascend(theta, moments, slopes, fast, offsets, x, plan, rate, update)
    return gap


@torch.no_grad()
def ascend(
    theta: Any,
    moments: Sequence[Any],
    slopes: Any,
    fast: Any | None,
    offsets: Offsets | None,
    x: Tensor,
    plan: RbmPlan,
    rate: float,
    update: int,
) -> None:
    """Steps 3 to 6 of the plan, from the slopes of any criterion at cases x [R or 1, B, D]."""
    slopes = slopes._replace(**{name: torch.zeros_like(getattr(theta, name)) for name in plan.fixed})
    if offsets is not None:
        h = torch.sigmoid(hidden_logits(theta, x))
        copy(offsets, centring.move(offsets, x, h, plan.offset_rate))
        slopes = centring.to_centred(slopes, offsets)
    if fast is not None:
        copy(fast, followed(fast, _back(slopes, offsets), plan.fast_rate, plan.fast_decay))
    steps = [
        rate * direction(slope, [moment[i] for moment in moments], plan.optimiser, update)
        for i, slope in enumerate(slopes)
    ]
    if plan.weight_decay and theta._fields[0] not in plan.fixed:
        steps[0] = steps[0] - rate * plan.weight_decay * theta[0]
    for parameter, part in zip(theta, _back(like(theta, steps), offsets), strict=True):
        parameter.add_(part)


def _back(step: Any, offsets: Offsets | None) -> Any:
    return step if offsets is None else centring.from_centred(step, offsets)


def copy(target: Any, source: Any) -> None:
    """Source's tensors into target's, in place."""
    for to, of in zip(target, source, strict=True):
        to.copy_(of)
