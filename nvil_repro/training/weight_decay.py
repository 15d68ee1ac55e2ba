"""Weight decay, apart from the gradient and so from the optimiser's moments (Loshchilov & Hutter 2019)."""

from __future__ import annotations

import torch

from nvil_repro.models.belief_net import BeliefNet, parameters
from nvil_repro.training.optimisers import Rates, bias_beside


@torch.no_grad()
def decay_weights(net: BeliefNet, rates: Rates, weight_decay: float, centre: float = 0.0) -> None:
    """Shrink the weights of the model and of the inference network by rate times `weight_decay`, in place.

    Each replica and group at its own rate; baselines and biases stay. With hidden units centred
    (`optimisers.Optimiser`) the biases make up for it, and weights of zero are a net that knows its biases alone.
    """
    named = dict(parameters(net))
    for name, parameter in named.items():
        group = name.partition("/")[0]
        if group == "baseline" or parameter.ndim < 3:
            continue
        rate = getattr(rates, group)
        lost = (rate * weight_decay).view(-1, 1, 1) * parameter
        parameter.sub_(lost)
        if centre and (bias := bias_beside(name)):
            named[bias].add_(centre * lost.sum(-2))
