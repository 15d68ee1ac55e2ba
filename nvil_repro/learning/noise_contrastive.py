"""Noise-contrastive estimation (Gutmann & Hyvarinen 2010; Deep Learning 18.6): tell cases from samples of a known q.

log Z is one more parameter, minus the book's c (equation 18.28): were it too small, the model would take noise for
data.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import logsigmoid

from nvil_repro.learning import cases
from nvil_repro.models import bernoulli
from nvil_repro.models.rbm import bias_of
from nvil_repro.models.unnormalised import Family


class Noise(NamedTuple):
    """Samples y of a density q, and what q gives to them and to the cases x."""

    samples: Tensor  # y [R or 1, K, D]
    log_q: Tensor  # log q(y) [R or 1, K], in nats
    log_q_cases: Tensor  # log q(x) [R or 1, B]
    weights: Tensor | None = None  # [R or 1, K], summing to one, in place of 1/K


def noise_contrastive(
    family: Family,
    theta: Any,
    x: Tensor,
    noise: Noise,
    log_z: Tensor,
    weights: Tensor | None = None,
    ratio: float | None = None,
) -> Tensor:
    """Mean log-probability of telling cases x [R or 1, B, D] from k times as many of noise, per case, to ascend: [R].

    J = E_x log sigma(G(x)) + k E_y log sigma(-G(y)) (equations 18.32 to 18.37, where k = 1) with
    G(u) = log p*(u) - log Z - log(k q(u)), `log_z` [R, 1], which has a gradient as theta has (see `criteria`), and
    k = `ratio`, by default K/B. Shapes and `weights`: as in `flips.mean_over_flips`.
    """
    k = noise.samples.shape[1] / x.shape[1] if ratio is None else ratio
    shift = log_z + math.log(k)
    of_cases = family.log_unnormalised(theta, x) - shift - noise.log_q_cases
    of_noise = family.log_unnormalised(theta, noise.samples) - shift - noise.log_q
    return cases.mean(logsigmoid(of_cases), weights) + k * cases.mean(logsigmoid(-of_noise), noise.weights)


def self_contrastive(
    family: Family,
    theta: Any,
    x: Tensor,
    samples: Tensor,
    weights: Tensor | None = None,
    sample_weights: Tensor | None = None,
) -> Tensor:
    """Self-contrastive estimation (Goodfellow 2014): the noise is the model as it is, a copy of it to be left behind,
    of which `samples` [R or 1, K, D] are given; `sample_weights` [R or 1, K] take the place of 1/K. To ascend: [R].

    Here 2J of noise-contrastive estimation with k = 1, so that the gradient is, in expectation over the samples, that
    of the log-likelihood and not half of it. The value is always -4 log 2: nobody tells two copies apart.
    """

    def against_its_copy(u: Tensor) -> Tensor:
        log_p = family.log_unnormalised(theta, u)
        return log_p - log_p.detach()

    of_cases, of_samples = logsigmoid(against_its_copy(x)), logsigmoid(-against_its_copy(samples))
    return 2 * (cases.mean(of_cases, weights) + cases.mean(of_samples, sample_weights))


def independent_bits(mean: Tensor, uniforms: Tensor, x: Tensor) -> Noise:
    """Noise of independent bits of nearly this `mean` [D] (see `rbm.bias_of`), from uniforms [R or 1, K, D], for cases
    x [R or 1, B, D].

    Errors: `ValueError` if a mean lies outside [0, 1].
    """
    logits = bias_of(mean).to(x)
    samples = bernoulli.sample(logits, uniforms)
    return Noise(samples, bernoulli.log_prob(logits, samples), bernoulli.log_prob(logits, x))
