"""The criteria that sidestep the partition function, as an update draws for them and an evaluation states them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nvil_repro.learning.criteria import CriterionGradient, criterion_gradient, draw, uniforms_of
from nvil_repro.models.unnormalised import Family
from nvil_repro.streams import uniforms
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings


def drawn_gradient(
    settings: UnnormalisedSettings,
    family: Family,
    theta: Any,
    x: Tensor,
    mean: Tensor,
    seed: int,
    name: str,
    index: int,
    **given: Tensor,
) -> CriterionGradient[Any]:
    """Objective and gradient of `settings.criterion` on cases x [1, B, D] of data with this mean [D], what it needs of
    chance drawn from stream `name` at `index`; a learned `log_z`, or `samples` of the model, are `given`.

    Errors: those of `criterion_gradient` and `draw`.
    """
    criterion, amounts, (_, batch, visible) = settings.criterion, settings.amounts, x.shape
    u = uniforms(seed, name, index, uniforms_of(criterion, amounts, batch, visible), x.dtype)
    needs: dict[str, Any] = given | draw(criterion, family, amounts, u, x, mean)
    if criterion == "generalised_pseudolikelihood":
        units, size = list(range(visible)), settings.block
        needs["sets"] = [units[first : first + size] for first in range(0, visible, size)]
    return criterion_gradient(criterion, family, theta, x, **needs)
