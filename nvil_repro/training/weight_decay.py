"""Weight decay, apart from the gradient and so from the optimiser's moments (Loshchilov & Hutter 2019)."""

from __future__ import annotations

import torch

from nvil_repro.models.belief_net import BeliefNet, parameters
from nvil_repro.training.optimisers import Rates, bias_beside


@torch.no_grad()
def decay_weights(net: BeliefNet, rates: Rates, weight_decay: float, centre: float = 0.0) -> None:
    """Shrink the weights of the model by its rate times `weight_decay`, in place, each replica at its own rate.

    The inference network and the baselines stay: theirs is to follow the model, and what keeps them from it loosens
    the bound. With hidden units centred (`optimisers.Optimiser`) the biases make up for the weights, and weights of
    zero are a model that knows its biases alone.
    """
    named = dict(parameters(net))
    for name, parameter in named.items():
        if not name.startswith("model/") or parameter.ndim < 3:
            continue
        lost = (rates.model * weight_decay).view(-1, 1, 1) * parameter
        parameter.sub_(lost)
        if centre and (bias := bias_beside(name)):
            named[bias].add_(centre * lost.sum(-2))
