"""Bounds and importance-weighted estimates of a model and an inference network given as modules.

As in `weights`, case n draws from the stream (seed, name, n), so its samples do not depend on the other cases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nvil_repro.evaluation.bounds import Bound
from nvil_repro.evaluation.importance import ImportanceEstimate
from nvil_repro.evaluation.weights import ELEMENTS
from nvil_repro.learning.estimators import Nets


@torch.no_grad()
def general_weights(nets: Nets, x: Tensor, samples: int, *, seed: int = 0, name: str = "bound") -> Tensor:
    """log P(x, h) - log Q(h | x) of `samples` draws h ~ Q(h | x) for every case of x [N, D], in nats: [N, S] float64.

    Beside the result, memory is that of S samples of a few cases, whatever N.
    Errors: `ValueError` if `samples` is not positive.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    model, inference = nets.model, nets.inference
    like = next(nets.parameters())
    group = max(1, ELEMENTS // (samples * x.shape[-1]))
    weights = []
    for start in range(0, len(x), group):
        cases = x[start : start + group].to(like)
        shape = (samples, inference.units)
        noise = [inference.noise(seed, name, start + i, shape, like.dtype) for i in range(len(cases))]
        repeated = cases.repeat_interleave(samples, 0)
        h = inference.sample(repeated, torch.cat(noise))
        log_p, log_q = model.log_prob(repeated, h), inference.log_prob(h, repeated)
        log_w = _whole(log_p) - _whole(log_q)
        weights.append(log_w.double().view(len(cases), samples))
    return torch.cat(weights)


def _whole(log_prob: Tensor) -> Tensor:
    """[B] of a model in one piece, or [L, B] layer by layer: the sum over layers."""
    return log_prob.sum(0) if log_prob.ndim > 1 else log_prob


def bound_of(weights: Tensor) -> Bound:
    """The paper's test number from log-weights [N, S], S > 1, of one model, R = 1; see `Bound`."""
    n, samples = weights.shape
    per_case = weights.mean(-1)
    within = weights.var(-1).mean() / (samples * n)
    return Bound(
        per_case.mean()[None], (per_case.var() / n).sqrt()[None], within.sqrt()[None], n, per_case[None]
    )


def importance_of(weights: Tensor) -> ImportanceEstimate:
    """log (1/S) sum_s w_s from log-weights [N, S] of one model, R = 1; see `ImportanceEstimate`."""
    n, samples = weights.shape
    log_sum = weights.logsumexp(-1)
    per_case, effective = log_sum - math.log(samples), (2 * log_sum - (2 * weights).logsumexp(-1)).exp()
    stderr = per_case.std() / math.sqrt(n)
    return ImportanceEstimate(
        per_case.mean()[None], stderr[None], per_case[None], effective[None], samples, n
    )
