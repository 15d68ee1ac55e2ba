"""Models with their inference networks, written down: a recipe can be hashed, sent to a process, and builds modules."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nvil_repro.learning.estimators import Nets
from nvil_repro.models.deep import BernoulliInference, initialise, tanh_network
from nvil_repro.models.gaussian import GaussianInference, GaussianModel
from nvil_repro.models.modules import InputBaseline, SigmoidBeliefNet


@dataclass(frozen=True)
class GaussianRecipe:
    """Gaussian latents h; tanh layers, inputs first, between x and Q(h | x) and between h and P(x | h)."""

    units: int
    inference: tuple[int, ...] = ()  # none: linear
    model: tuple[int, ...] = ()
    baseline_units: int = 100

    def __call__(self, train_mean: Tensor, seed: int) -> Nets:
        """Fresh modules, a function of the training mean [D] and the seed."""
        visible = len(train_mean)
        with torch.random.fork_rng(devices=[]):  # torch's own start, drawn over below
            model = GaussianModel(tanh_network((self.units, *self.model, visible)))
            network = tanh_network((visible, *self.inference, 2 * self.units))
            inference = GaussianInference(network, self.units, train_mean)
            baseline = InputBaseline(0, visible, self.baseline_units, train_mean)
        nets = Nets(model, inference, [baseline])
        return _started(nets, [*model.network.parameters()][-1], train_mean, seed)


@dataclass(frozen=True)
class BernoulliRecipe:
    """A sigmoid belief network of one layer; tanh layers, inputs first, between x and the logits of Q(h | x)."""

    units: int
    inference: tuple[int, ...] = ()  # none: the paper's, linear
    baseline_units: int = 100

    def __call__(self, train_mean: Tensor, seed: int) -> Nets:
        """Fresh modules, a function of the training mean [D] and the seed."""
        visible = len(train_mean)
        with torch.random.fork_rng(devices=[]):
            model = SigmoidBeliefNet((visible, self.units))
            network = tanh_network((visible, *self.inference, self.units))
            inference = BernoulliInference(network, self.units, train_mean)
            baseline = InputBaseline(0, visible, self.baseline_units, train_mean)
        nets = Nets(model, inference, [baseline])
        return _started(nets, [*model.layers.parameters()][-1], train_mean, seed)


Recipe = GaussianRecipe | BernoulliRecipe


@torch.no_grad()
def _started(nets: Nets, visible_bias: Tensor, train_mean: Tensor, seed: int) -> Nets:
    """Drawn from the seed; without its latents the model starts as independent pixels, smoothed as in `belief_net`."""
    initialise(nets, seed)
    visible_bias.copy_(torch.logit(train_mean * 0.98 + 0.01))
    return nets
