"""Wake-sleep (Hinton et al. 1995), what the paper compares NVIL with.

The model moves as under NVIL, along sum d log P(x, h) with h ~ Q(h | x). The inference network moves along
sum d log Q(h | x) on dreams (x, h) ~ P, equation 13: a gradient of the other Kullback-Leibler divergence, and
so of no bound. Both are taken at the same parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nvil_repro.learning.closed_form import inference_gradient, model_gradient
from nvil_repro.models.belief_net import BeliefNet, p_logits, q_logits


def wake_sleep_gradients(
    net: BeliefNet,
    x: Tensor,
    h: Sequence[Tensor],
    dream: Sequence[Tensor],
    logits: Sequence[Tensor] | None = None,
) -> BeliefNet:
    """Ascent directions summed over x [R or 1, B, D] with bits h^i [R, B, H_i], and over dreams (x, h^1..h^L) of P.
    `logits` are `p_logits(net, x, h)`, if at hand.

    A `BeliefNet` of gradients; its centre is zero and it has no baselines.
    """
    imagined, *causes = dream
    recognition = inference_gradient(net, imagined, causes, q_logits(net, imagined, causes))
    return model_gradient(net, x, h, logits or p_logits(net, x, h))._replace(recognition=recognition)
