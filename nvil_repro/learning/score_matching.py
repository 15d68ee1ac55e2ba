"""Score matching (Hyvarinen 2005; Deep Learning 18.4) and denoising score matching (Vincent 2011; 18.5), for reals.

The score s(x) = d log p(x) / dx is that of log p*: Z does not depend on x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nvil_repro.learning import cases
from nvil_repro.models.unnormalised import REALS, Family


def score_matching(family: Family, theta: Any, x: Tensor, weights: Tensor | None = None) -> Tensor:
    """Minus the mean over cases x [R or 1, B, D] of sum_j (s_j^2 / 2 + d s_j / d x_j) (equation 18.25), to ascend: [R].

    `weights` [R or 1, B], summing to one, take the place of 1/B.
    Errors: `ValueError` if the model's x are not reals.
    """
    score, curvature = score_and_curvature(family, theta, x)
    return -cases.mean((score.square() / 2 + curvature).sum(-1), weights)


def denoising_score_matching(
    family: Family, theta: Any, x: Tensor, normals: Tensor, sd: float, weights: Tensor | None = None
) -> Tensor:
    """Minus the mean over cases of |s(x + sd n) + n / sd|^2 / 2, to ascend: [R].

    x + sd n, with standard normals n [R or 1, B, D], is led back to x as by a denoising autoencoder. The best model is
    that of the noisy cases: sd should be small beside what is to be learned.
    Errors: `ValueError` if the model's x are not reals, or sd is not positive.
    """
    if not sd > 0:
        raise ValueError(
            f"sd={sd}: expected a positive standard deviation of the noise; without, use score_matching"
        )
    score = _score(family, theta, x + sd * normals)
    return -cases.mean((score + normals / sd).square().sum(-1) / 2, weights)


def score_and_curvature(family: Family, theta: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """s_j and d s_j / d x_j, [R, B, D] each: the family's own, or by autograd, which takes D passes.

    Errors: `ValueError` if the model's x are not reals.
    """
    _require_reals(family)
    if family.score_and_curvature:
        return family.score_and_curvature(theta, x)
    at = _leaf(theta, x)
    score = _derivative(family.log_unnormalised(theta, at), at)
    columns = [_derivative(s, at)[..., j] for j, s in enumerate(score.unbind(-1))]
    return score, torch.stack(columns, -1)


def _score(family: Family, theta: Any, x: Tensor) -> Tensor:
    _require_reals(family)
    if family.score_and_curvature:
        return family.score_and_curvature(theta, x)[0]
    at = _leaf(theta, x)
    return _derivative(family.log_unnormalised(theta, at), at)


def _leaf(theta: Any, x: Tensor) -> Tensor:
    return x.detach().expand(len(theta[0]), *x.shape[1:]).requires_grad_()


def _derivative(values: Tensor, x: Tensor) -> Tensor:
    """d values_b / d x_b of each case, on the graph, so that theta's derivative can follow."""
    total = values.sum()
    return torch.autograd.grad(total, x, create_graph=True, allow_unused=True, materialize_grads=True)[0]


def _require_reals(family: Family) -> None:
    if family.support != REALS:
        raise ValueError(
            f"{family.name} is a model of {family.support}, in which log p has no derivative: use ratio_matching"
        )
