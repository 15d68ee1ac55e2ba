"""The reparameterisation gradient of the bound (Kingma & Welling 2014): it follows the path through the sample.

It needs samples h = transform(x, noise) that are differentiable in the inference network's parameters, so it exists
for Gaussian latent variables and not for bits, whose samples are steps.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nvil_repro.learning.general import Model
from nvil_repro.models.gaussian import GaussianInference, GaussianModel


class Reparameterised(Protocol):
    """Q(h | x) whose samples are a differentiable function of its parameters and of noise."""

    def transform(self, x: Tensor, noise: Tensor) -> Tensor: ...

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor: ...


def pathwise_loss(
    model: Model, inference: Reparameterised, x: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Minus log P(x, h) - log Q(h | x), summed over the minibatch, and its value for every case [B], in nats.

    Estimator A of Kingma & Welling (equation 6), from the very signal NVIL uses; `noise` is what `transform` takes.
    """
    h = inference.transform(x, noise)
    log_p = model.log_prob(x, h)
    bound = (log_p.sum(0) if log_p.ndim > 1 else log_p) - inference.log_prob(h, x)
    return -bound.sum(), bound.detach()


def pathwise_kl_loss(
    model: GaussianModel, inference: GaussianInference, x: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """The same of log P(x | h) - KL(Q(h | x) || P(h)), whose second term has a closed form.

    Estimator B of Kingma & Welling (equation 7).
    """
    bound = model.log_likelihood(x, inference.transform(x, noise)) - inference.kl(x)
    return -bound.sum(), bound.detach()
