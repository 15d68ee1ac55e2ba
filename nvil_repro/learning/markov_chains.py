"""Markov chains that leave a model as it is, for the negative phase (Algorithms 18.1 to 18.3 of Deep Learning).

Where they begin is what tells the algorithms apart: afresh at every update (naive, 18.1), at the data (contrastive
divergence, 18.2), or where they were when the last update ended (persistent contrastive divergence, 18.3: stochastic
maximum likelihood, Younes 1998, Tieleman 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from nvil_repro.learning.contrastive_divergence import contrast
from nvil_repro.models.unnormalised import BITS, Family


def walk(family: Family, theta: Any, chains: Tensor, uniforms: Iterable[Tensor]) -> Tensor:
    """Chains [R or 1, C, D] after a Gibbs step for each of `uniforms`, [C, K] each: [R, C, D].

    Errors: `ValueError` if the family has no Gibbs step.
    """
    gibbs, _ = sampler(family)
    for u in uniforms:
        chains = gibbs(theta, chains, u[None])
    return chains


def fresh(family: Family, theta: Any, uniforms: Tensor, mean: Tensor | None = None) -> Tensor:
    """Chains that know nothing of theta but the `base` of its family, for data of this mean [D] or (None) for any:
    [R, C, D], from uniforms [C, K]; without a base, fair bits.

    Errors: `ValueError` for reals without a base, or if the family has no Gibbs step.
    """
    gibbs, _ = sampler(family)
    shape = (len(theta[0]), len(uniforms), family.visible(theta))
    if family.base is not None:  # a step of the base is a sample of it, from wherever
        return gibbs(family.base(theta, mean).theta, uniforms.new_zeros(shape), uniforms[None])
    if family.support != BITS:
        raise ValueError(
            f"{family.name} has no base to begin chains of {family.support} from: give the family a `base`"
        )
    return (uniforms[:, : shape[-1]] < 0.5).to(theta[0].dtype).repeat(shape[0], 1, 1)


def sampler(family: Family) -> tuple[Callable[[Any, Tensor, Tensor], Tensor], Callable[[Any], int]]:
    """The family's Gibbs step, and how many uniforms theta's needs for a chain.

    Errors: `ValueError` if it has none.
    """
    if family.gibbs is None or family.uniforms is None:
        raise ValueError(
            f"{family.name} has no Gibbs step: give the family one, or choose a criterion without a negative phase"
        )
    return family.gibbs, family.uniforms


def phases(family: Family, theta: Any, x: Tensor, ends: Tensor) -> tuple[Any, Tensor]:
    """The mean gradient of log p* over cases x [R or 1, B, D] less that over the chains' ends [R, C, D] (equation 18.4
    with its second mean by samples), and the free-energy gap, mean log p*(x) less mean log p* of the ends: [R].
    """
    parts, levels = [], []
    for states in (x, ends):
        share = states.new_full((1, states.shape[1]), 1 / states.shape[1])
        parts.append(family.gradient(theta, states, share))
        levels.append(family.log_unnormalised(theta, states).mean(-1))
    positive, negative = parts
    return contrast(positive, negative), levels[0] - levels[1]
