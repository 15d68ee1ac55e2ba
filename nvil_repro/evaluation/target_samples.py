"""Samples of the model itself, from which chains fall and bridges are built: exact ones, or chains that have run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.evaluation.exact import CHUNK, LIMIT, enumerate_bits
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.learning.markov_chains import sampler
from nvil_repro.models.unnormalised import BITS, Family
from nvil_repro.streams import stream, uniforms


@torch.no_grad()
def exact_samples(family: Family, theta: Any, count: int, seed: int = 0) -> Tensor:
    """Independent samples x [R, C, D] of the model, its visible or hidden states enumerated, in theta's dtype.

    Errors: `ValueError` if neither side can be enumerated.
    """
    which = uniforms(seed, "exact samples", 0, (count,), torch.float64)
    visible, hidden = family.visible(theta), family.hidden
    if family.support == BITS and 2**visible <= LIMIT:
        p = state_probabilities(family, theta)
        return _bits(_drawn(p, which), visible, theta[0].dtype)
    if hidden is None or family.gibbs is None or 2 ** hidden.units(theta) > LIMIT:
        raise ValueError(
            f"the states of {family.name} cannot be enumerated: use gibbs_samples, or a smaller model"
        )
    units = hidden.units(theta)
    parts = [
        enumerate_bits(units, n, min(n + CHUNK, 2**units), theta[0].dtype) for n in range(0, 2**units, CHUNK)
    ]
    log_p = torch.cat([hidden.log_unnormalised(theta, part[None]).double() for part in parts], -1)
    h = _bits(_drawn(log_p.softmax(-1), which), units, theta[0].dtype)
    free = uniforms(seed, "exact samples", 1, (count, visible), theta[0].dtype).expand(len(h), -1, -1)
    chosen = (
        2 - 3 * h
    )  # uniforms outside [0, 1] choose hidden units: below every probability on, above it off
    return family.gibbs(theta, h.new_zeros(1, count, visible), torch.cat([chosen, free], -1))


@torch.no_grad()
def gibbs_samples(
    family: Family, theta: Any, cases: Tensor, count: int, *, burn_in: int, seed: int = 0
) -> Tensor:
    """x [R, C, D] that C chains make of `count` random ones of the `cases` [N, D] in `burn_in` Gibbs steps.

    Samples of the model as far as chains forget in so many steps where they began.
    """
    gibbs, width = sampler(family)
    x = cases[stream(seed, "gibbs samples").integers(len(cases), size=count)].to(theta[0].dtype)[None]
    for n in range(burn_in):
        x = gibbs(theta, x, uniforms(seed, "gibbs samples", n, (count, width(theta)), theta[0].dtype)[None])
    return x.expand(len(theta[0]), -1, -1)


@torch.no_grad()
def annealed_samples(
    family: Family,
    theta: Any,
    count: int,
    *,
    ladder: Sequence[float],
    mean: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """x [R, C, D] of chains that rise from the base, a Gibbs step at every rung of the ladder, 1 included.

    Samples of the model as far as the chains keep up; unlike `gibbs_samples` they need no data.
    """
    path = annealing_path(family, theta, mean)
    state = begin(path, count, seed, "annealed samples")
    for k, b in enumerate(ladder[1:], 1):
        state = path.step(state, b, draws(path, count, seed, "annealed samples", k))
    return path.cases(state)


def _drawn(p: Tensor, which: Tensor) -> Tensor:
    """Indices of the states into which uniforms [C] fall, by probabilities [R, S]: [R, C]."""
    edges = p.cumsum(-1)
    return torch.searchsorted(edges, (which * edges[:, -1:]).contiguous(), right=True).clamp_max(
        p.shape[-1] - 1
    )


def _bits(index: Tensor, units: int, dtype: torch.dtype) -> Tensor:
    return ((index[..., None] >> torch.arange(units)) & 1).to(dtype)
