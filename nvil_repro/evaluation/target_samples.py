"""Samples of the model itself, from which chains fall and bridges are built: exact ones, or chains that have run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.evaluation.exact import CHUNK, LIMIT, enumerate_bits
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.evaluation.state_distributions import inverse_cdf, state_bits
from nvil_repro.learning.markov_chains import sampler
from nvil_repro.models.unnormalised import BITS, Family, check_finite, like
from nvil_repro.streams import stream, uniforms


@torch.no_grad()
def exact_samples(family: Family, theta: Any, count: int, seed: int = 0) -> Tensor:
    """Independent samples x [R, C, D] of the model, its visible or hidden states enumerated: found in double precision,
    returned in theta's.

    Errors: `ValueError` if neither side can be enumerated, or naming a parameter that is not finite.
    """
    which = uniforms(seed, "exact samples", 0, (count,), torch.float64)
    visible, hidden, dtype = family.visible(theta), family.hidden, theta[0].dtype
    if family.support == BITS and 2**visible <= LIMIT:
        p = state_probabilities(family, theta)
        return state_bits(inverse_cdf(p.cumsum(-1), which), visible).to(dtype)
    if hidden is None or family.gibbs is None or 2 ** hidden.units(theta) > LIMIT:
        raise ValueError(
            f"the states of {family.name} cannot be enumerated: use gibbs_samples, or a smaller model"
        )
    check_finite(theta)
    theta, units = like(theta, [part.double() for part in theta]), hidden.units(theta)
    parts = [enumerate_bits(units, n, min(n + CHUNK, 2**units))[None] for n in range(0, 2**units, CHUNK)]
    log_p = torch.cat([hidden.log_unnormalised(theta, part) for part in parts], -1)
    h = state_bits(inverse_cdf(log_p.softmax(-1).cumsum(-1), which), units).double()
    free = uniforms(seed, "exact samples", 1, (count, visible), torch.float64).expand(len(h), -1, -1)
    chosen = 2 - 3 * h  # uniforms that choose hidden units: -1, below every probability, is on, and 2 off
    return family.gibbs(theta, h.new_zeros(1, count, visible), torch.cat([chosen, free], -1)).to(dtype)


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
