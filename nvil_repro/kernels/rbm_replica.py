"""From machines with their replica axis to what one replica's compiled update reads, on the same memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.kernels.ascent import KINDS
from nvil_repro.kernels.rbm_gibbs import Desk, Weights, desk, load, padded, weights
from nvil_repro.kernels.rbm_phases import PARTS, Phases, phases
from nvil_repro.learning.centring import Offsets
from nvil_repro.models.rbm import Rbm
from nvil_repro.training.unnormalised_plan import RbmPlan


class Parameters(NamedTuple):
    """Of one replica, or something of their shape; without entries where it is absent."""

    weight: np.ndarray  # [D, H]
    visible_bias: np.ndarray  # [1, D]
    hidden_bias: np.ndarray  # [1, H]


class Trained(NamedTuple):
    """All that steps move; moments that the optimiser does not keep are never read."""

    value: Parameters
    first: Parameters
    second: Parameters
    fast: Parameters


class Centre(NamedTuple):
    """Offsets of a centred machine; without entries for an ordinary one."""

    visible: np.ndarray  # mu [D]
    hidden: np.ndarray  # lambda [H]


class Owed(NamedTuple):
    """What the biases, and those of the fast weights, lose by the steps of a part of W."""

    visible: np.ndarray  # [1, D], which all parts share
    fast_visible: np.ndarray
    hidden: np.ndarray  # [1, H], of the part
    fast_hidden: np.ndarray


class How(NamedTuple):
    """`RbmPlan`, of which nothing is `fixed`, in the dtype of the parameters."""

    kind: int  # the optimiser, one of `ascent.KINDS`
    constants: np.ndarray  # its decay, second decay, epsilon, and no centre
    rates: np.ndarray  # [T]
    weight_decay: np.floating
    fast_rate: np.floating
    fast_decay: np.floating
    offset_rate: np.floating


class Replica(NamedTuple):
    """One machine, and room for its updates."""

    trained: Trained
    model: Weights  # a copy of the machine, for sums of rows
    sampler: Weights  # what chains run under: the same, or a copy with the fast weights on it
    offsets: Centre
    slope: Parameters  # of the biases alone
    owed: tuple[Owed, ...]  # by part
    phases: Phases
    rows: tuple[np.ndarray, ...]  # by part: a step of W_j and what decay takes from it, [2, H], padded
    desks: tuple[Desk, ...]  # by part
    how: How


def replica(
    theta: Rbm,
    moments: Sequence[Rbm],
    fast: Rbm | None,
    offsets: Offsets | None,
    r: int,
    sizes: tuple[int, int],
    how: How,
) -> Replica:
    """Replica r, its arrays writable views, with room for minibatches and chains of these two `sizes`."""
    (visible, hidden), dtype = theta.weight.shape[1:], theta.weight.dtype
    value, first, second = [_parameters(part, r) for part in (theta, *moments, theta, theta)][:3]
    absent = Parameters(*(np.zeros(shape, value.weight.dtype) for shape in ((0, 0), (1, 0), (1, 0))))
    above = absent if fast is None else _parameters(fast, r)
    model = load(weights(visible, hidden, dtype), *value)
    overlaid = model if fast is None else load(weights(visible, hidden, dtype), *map(np.add, value, above))
    centre = (absent.visible_bias[0],) * 2 if offsets is None else (part[r].numpy() for part in offsets)
    _, b, c = map(np.zeros_like, value)
    owed = b, b.copy()
    return Replica(
        Trained(value, first, second, above),
        model,
        overlaid,
        Centre(*centre),
        Parameters(absent.weight, b.copy(), c),
        tuple(Owed(*owed, np.zeros_like(c), np.zeros_like(c)) for _ in range(PARTS)),
        phases(*sizes, visible, hidden, dtype),
        tuple(padded(2, hidden, dtype=dtype) for _ in range(PARTS)),
        tuple(desk(visible, hidden, dtype) for _ in range(PARTS)),
        how,
    )


def how(plan: RbmPlan, rates: Tensor, dtype: torch.dtype) -> How:
    """The plan as compiled code reads it."""
    like = torch.empty(0, dtype=dtype).numpy().dtype
    return How(
        KINDS[plan.optimiser.name],
        np.array((*plan.optimiser.constants[:3], 0), like),
        rates.numpy().astype(like),
        *(like.type(n) for n in (plan.weight_decay, plan.fast_rate, plan.fast_decay, plan.offset_rate)),
    )


def _parameters(theta: Rbm, r: int) -> Parameters:
    weight, visible_bias, hidden_bias = (part[r].numpy() for part in theta)
    return Parameters(weight, visible_bias[None], hidden_bias[None])
