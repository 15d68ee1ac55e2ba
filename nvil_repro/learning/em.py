"""Expectation maximisation for mixtures of Bernoullis (Dempster, Laird & Rubin 1977), MAP by pseudo-counts.

`smoothing` s adds to what a component has seen s cases with every pixel on and s with every pixel off, and s to
its count among the components: the mode under Beta(1 + s, 1 + s) for every mu_kj and a Dirichlet(1 + s) for pi.
A component that explains no case goes back to mu = 1/2 and to the least weight.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.models.mixture import CASES, Mixture, log_joint

NEGLIGIBLE = (
    -80.0
)  # a smaller responsibility counts as e^-80: subnormal numbers are multiplied many times slower


class Statistics(NamedTuple):
    """What the cases say of R mixtures, float64."""

    cases: Tensor  # [R, K]: sum_n r_nk, responsibilities r_nk = P(k | x_n)
    on: Tensor  # [R, K, D]: sum_n r_nk x_nj
    log_likelihood: Tensor  # [R]: the mean over cases, in nats


@torch.no_grad()
def expectation(model: Mixture, x: Tensor) -> Statistics:
    """The E step over all cases x [N, D], a thousand at a time: products in the model's dtype, sums in float64."""
    replicas, components, visible = model.logits.shape
    cases, on, total = (
        torch.zeros(shape, dtype=torch.float64)
        for shape in ((replicas, components), (replicas, components, visible), (replicas,))
    )
    for part in x.split(CASES):
        bits = part.to(model.logits.dtype)
        joint = log_joint(model, bits)
        log_p = joint.logsumexp(-1, keepdim=True)
        responsibility = (joint - log_p).clamp_min(NEGLIGIBLE).exp()
        cases += responsibility.sum(1, dtype=torch.float64)
        on += responsibility.mT @ bits
        total += log_p.sum((1, 2), dtype=torch.float64)
    return Statistics(cases, on, total / len(x))


def maximisation(statistics: Statistics, smoothing: float, dtype: torch.dtype = torch.float32) -> Mixture:
    """The M step: the mixture of highest posterior density. Errors: `ValueError` if smoothing is not above 0."""
    if not smoothing > 0:
        raise ValueError(f"smoothing must be above 0, which keeps every mu off 0 and 1; got {smoothing}")
    cases, on = statistics.cases, statistics.on
    weight = cases + smoothing
    off = (cases[..., None] - on).clamp_min(0)  # rounding may take it below
    logits = (on + smoothing).log() - (off + smoothing).log()
    return Mixture((weight / weight.sum(-1, keepdim=True)).log().to(dtype), logits.to(dtype))
