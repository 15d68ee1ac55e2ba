"""Importance-weighted estimates of log P(x): log (1/K) sum_k P(x, h_k) / Q(h_k | x), however large K is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.bounds import Bound
from nvil_repro.evaluation.weights import weight_chunks
from nvil_repro.models.arrays import bits
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.streams import stream


class ImportanceEstimate(NamedTuple):
    """A K-sample estimate of log P(x) in nats, float64: below log P(x) in expectation, rising with K.

    `effective_samples` = (sum w)^2 / sum w^2; a case's error is about sqrt(1/effective_samples - 1/K).
    """

    value: Tensor  # [R], mean over cases
    stderr: Tensor  # [R], of that mean over cases; NaN for one case
    per_case: Tensor  # [R, N]
    effective_samples: Tensor  # [R, N], between 1 and K
    samples: int  # K
    n: int  # cases


def importance_estimate(
    net: BeliefNet,
    x: Tensor,
    samples: int = 50_000,
    *,
    seed: int = 0,
    name: str = "importance",
    first: int = 0,
    chunk: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportanceEstimate:
    """The estimate from `samples` draws h ~ Q(h | x) per case of `x` [N, D] (zeros and ones, uint8 or float).

    Case n draws from the stream (seed, name, first + n), so parts of a data set evaluated apart, each told
    the position of its `first` case, agree with the whole. Memory is bounded, whatever K and N: `chunk`
    samples are held at a time (by default about 1 MB an array), and any chunk gives the same
    estimate up to rounding. `progress(done, N)` is called as cases are finished.
    Errors: `ValueError` if `x` is not [N, D] of zeros and ones, or `samples` or `chunk` is not positive.
    """
    if samples < 1 or (chunk is not None and chunk < 1):
        raise ValueError(f"samples and chunk must be at least 1, got samples={samples}, chunk={chunk}")
    x = bits("x", x, len(net.centre))
    per_case, effective = [], []
    for cases, chunks in weight_chunks(net, x, samples, seed, name, first, chunk):
        log_sum = log_squares = torch.tensor(-math.inf, dtype=torch.float64, device=net.prior.device)
        for weights in chunks:
            weights = weights.double()
            log_sum = torch.logaddexp(log_sum, weights.logsumexp(-1))
            log_squares = torch.logaddexp(log_squares, (2 * weights).logsumexp(-1))
        per_case.append(log_sum - math.log(samples))
        effective.append((2 * log_sum - log_squares).exp())
        if progress:
            progress(cases.stop, len(x))
    estimate = torch.cat(per_case, -1)
    n = len(x)
    stderr = estimate.std(-1) / math.sqrt(n) if n > 1 else torch.full_like(estimate[:, 0], math.nan)
    return ImportanceEstimate(estimate.mean(-1), stderr, estimate, torch.cat(effective, -1), samples, n)


def random_part(cases: int, count: int) -> Tensor:
    """Indices of `count` of `cases` cases at random, by a pinned seed; all of them if there are no more."""
    return torch.from_numpy(stream(0, "importance cases").permutation(cases)[:count])


def whole_set_estimate(bound: Bound, part: Tensor, estimate: ImportanceEstimate) -> tuple[Tensor, Tensor]:
    """The importance-weighted estimate of all N cases from that of a random part of them: value and stderr, [R], nats.

    `estimate` is of the cases with the indices `part` [M]. To the mean bound of all cases it adds the part's mean gain
    over its own bound, a difference estimator: the gain varies far less between cases than log P(x). The
    variance is var(bound)/N + var(gain)/M + 2 cov(bound, gain)/N; with M = N that of the mean estimate.
    Errors: `ValueError` if `part` and the estimate disagree, or hold fewer than two cases.
    """
    if len(part) != estimate.n or len(part) < 2:
        raise ValueError(
            f"{len(part)} indices for an estimate of {estimate.n} cases: expected as many, at least two"
        )
    return difference_estimate(bound.per_case, part, estimate.per_case)


def difference_estimate(rough: Tensor, part: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of a fine measure of N cases, known of M of them, from a rough one of all: value and stderr, [R].

    `rough` is [R, N] and `fine` [R, M], of the cases `part` [M]; see `whole_set_estimate`.
    """
    own, n = rough[:, part], rough.shape[-1]
    gain = fine - own
    covariance = ((own - own.mean(-1, True)) * (gain - gain.mean(-1, True))).sum(-1) / (len(part) - 1)
    variance = rough.var(-1) / n + gain.var(-1) / len(part) + 2 * covariance / n
    return rough.mean(-1) + gain.mean(-1), variance.clamp(min=0).sqrt()
