"""Criteria that do without log Z, by name, and their gradients: all that training asks of them.

Noise-contrastive estimation learns log Z along with theta. A training state that allows for it carries, beside theta,
a tensor `log_z` [R, 1] (two axes, as all that belongs to a replica: see `trees.view`), and moves it along its own
gradient as it moves theta; for the other criteria that gradient is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from nvil_repro.learning.flips import draw_units
from nvil_repro.learning.minimum_probability_flow import minimum_probability_flow
from nvil_repro.learning.noise_contrastive import independent_bits, noise_contrastive, self_contrastive
from nvil_repro.learning.pseudolikelihood import generalised_pseudolikelihood, pseudolikelihood
from nvil_repro.learning.ratio_matching import ratio_matching
from nvil_repro.learning.score_matching import denoising_score_matching, score_matching
from nvil_repro.models.unnormalised import BITS, REALS, Family, like

Theta = TypeVar("Theta", bound=tuple[Tensor, ...])


class Criterion(NamedTuple):
    """A function(family, theta, x, weights=None, **given) -> [R], to ascend, and the names it knows in `given`."""

    name: str
    support: str | None  # what x must be made of, None: either
    function: Callable[..., Tensor]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()  # what may be left out


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("pseudolikelihood", BITS, pseudolikelihood, takes=("units",)),
        Criterion("generalised_pseudolikelihood", BITS, generalised_pseudolikelihood, needs=("sets",)),
        Criterion("ratio_matching", BITS, ratio_matching, takes=("units",)),
        Criterion("minimum_probability_flow", BITS, minimum_probability_flow, takes=("units",)),
        Criterion("score_matching", REALS, score_matching),
        Criterion("denoising_score_matching", REALS, denoising_score_matching, needs=("normals", "sd")),
        Criterion("noise_contrastive", None, noise_contrastive, needs=("noise", "log_z"), takes=("ratio",)),
        Criterion("self_contrastive", None, self_contrastive, needs=("samples",), takes=("sample_weights",)),
    )
}


class CriterionGradient(NamedTuple, Generic[Theta]):
    """Of the criterion's mean over the cases, to ascend."""

    theta: Theta
    objective: Tensor  # [R]
    log_z: Tensor  # [R, 1], zero where the criterion does not learn it


def criterion_gradient(
    name: str, family: Family, theta: Theta, x: Tensor, *, weights: Tensor | None = None, **given: Any
) -> CriterionGradient[Theta]:
    """The gradient of criterion `name` on cases x [R or 1, B, D], by autograd; `given` is what it needs, by name.

    Errors: `ValueError` for an unknown criterion, if it needs something else, or if the model is not one it is for.
    """
    criterion = _known(name)
    if missing := set(criterion.needs) - given.keys():
        raise ValueError(f"{name} needs {', '.join(sorted(missing))} as well; see its function")
    if unknown := given.keys() - {*criterion.needs, *criterion.takes}:
        expected = ", ".join((*criterion.needs, *criterion.takes)) or "nothing"
        raise ValueError(
            f"{name} does not take {', '.join(sorted(unknown))}: expected {expected} beside cases"
        )
    with torch.enable_grad():
        leaves = [part.detach().requires_grad_() for part in theta]
        log_z = given.get("log_z", theta[0].new_zeros(len(theta[0]), 1)).detach().requires_grad_()
        given = given | {"log_z": log_z} if "log_z" in given else given
        objective = criterion.function(family, like(theta, leaves), x, weights=weights, **given)
        *slopes, of_log_z = torch.autograd.grad(
            objective.sum(), [*leaves, log_z], allow_unused=True, materialize_grads=True
        )
    return CriterionGradient(like(theta, slopes), objective.detach(), of_log_z)


class Amounts(NamedTuple):
    """How much an update draws."""

    units: int | None = None  # bits visited of each case; None: all
    noise: int = 10  # samples of noise a case
    sd: float = 0.3  # of the noise that denoising takes away, in units of x


def uniforms_of(name: str, amounts: Amounts, cases: int, visible: int) -> tuple[int, ...]:
    """The shape of the uniforms from which `draw` makes what criterion `name` needs for a minibatch.

    Errors: `ValueError` for an unknown criterion.
    """
    criterion = _known(name)
    if "noise" in criterion.needs:
        return 1, amounts.noise * cases, visible
    if "normals" in criterion.needs:
        return 1, cases, visible
    return (cases, visible) if "units" in criterion.takes and amounts.units else (0,)


def draw(
    name: str, family: Family, amounts: Amounts, uniforms: Tensor, x: Tensor, mean: Tensor
) -> dict[str, Any]:
    """What chance decides of `given` for criterion `name` on cases x [1, B, D] of data with this mean [D].

    The noise of noise-contrastive estimation is independent bits; log_z, sets and samples are the caller's to add.
    Errors: `ValueError` for an unknown criterion, or for noise-contrastive estimation where x are not bits.
    """
    criterion = _known(name)
    if "noise" in criterion.needs:
        if family.support != BITS:
            raise ValueError(
                f"{family.name} is a model of {family.support}, and the noise drawn here is bits: "
                "give a noise_contrastive.Noise from a density of your own"
            )
        return {"noise": independent_bits(mean, uniforms, x)}
    if "normals" in criterion.needs:
        inside = uniforms.clamp_min(torch.finfo(uniforms.dtype).eps / 4)  # of 0, minus infinity
        return {"normals": torch.special.ndtri(inside).to(x), "sd": amounts.sd}
    if "units" in criterion.takes and amounts.units:
        return {"units": draw_units(uniforms, amounts.units)}
    return {}


def _known(name: str) -> Criterion:
    if name not in CRITERIA:
        raise ValueError(f"criterion {name!r}: expected one of {', '.join(CRITERIA)}")
    return CRITERIA[name]
