"""The paper's test number: the mean over cases of the mean of ten single-sample bounds."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.weights import weight_chunks
from nvil_repro.models.arrays import bits
from nvil_repro.models.belief_net import BeliefNet


class Bound(NamedTuple):
    """E_Q[log P(x, h) - log Q(h | x)] averaged over cases, in nats, float64; negative, as in Figure 1.

    `stderr` says what another test set of this size would give; `sampling_stderr` what other samples at the
    same cases would (the paper keeps it to 0.1 nat), and is NaN for a single sample per case.
    """

    value: Tensor  # [R]
    stderr: Tensor  # [R], over cases
    sampling_stderr: Tensor  # [R], over samples of h
    n: int  # cases
    per_case: Tensor  # [R, N]


def estimate_bound(
    net: BeliefNet, x: Tensor, *, samples: int = 10, seed: int = 0, name: str = "bound"
) -> Bound:
    """The bound of `x` [N, D] (zeros and ones, uint8 or float) from `samples` draws h ~ Q(h | x) per case.

    Case n draws from the stream (seed, name, n), shared by all replicas: `evaluation.weights` says what the
    result does not depend on. Memory is bounded, whatever N.
    Errors: `ValueError` if `x` is not [N, D] of zeros and ones or `samples` is not positive.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    x = bits("x", x, len(net.centre))
    means, variances = [], []
    for _, chunks in weight_chunks(net, x, samples, seed, name):
        weights = torch.cat([chunk.double() for chunk in chunks], -1)
        means.append(weights.mean(-1))
        variances.append(_variance(weights))
    per_case, within = torch.cat(means, -1), torch.cat(variances, -1)
    n = len(x)
    stderr, sampling = (_variance(per_case) / n).sqrt(), within.mean(-1).div(samples * n).sqrt()
    return Bound(per_case.mean(-1), stderr, sampling, n, per_case)


def _variance(values: Tensor) -> Tensor:
    """The unbiased variance along the last axis; NaN, and no warning, for a single value."""
    return values.var(-1) if values.shape[-1] > 1 else torch.full_like(values[..., 0], math.nan)
