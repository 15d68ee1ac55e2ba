"""On a belief network the general road measures what the belief networks' own does; the path's by hand."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.general_variance import general_variance, settled_signals
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.estimators import Nets
from nvil_repro.learning.nvil import VARIANTS, SignalState
from nvil_repro.learning.reparameterisation import pathwise_loss
from nvil_repro.models.deep import BernoulliInference
from nvil_repro.models.modules import as_modules
from tests import oracle
from tests.nets import VISIBLE, gaussian_nets

STATE = SignalState(torch.tensor([-4.0]).double(), torch.tensor([9.0]).double())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_belief_net_is_measured_as_by_its_own_road(name):
    net, x = oracle.random_net((3,)), oracle.random_bits(2, 4)
    model, mirrored, baselines = as_modules(net)
    nets = Nets(model, BernoulliInference(mirrored.layers[0], 3, mirrored.centre), baselines)
    column = SignalState(*(part[:, None] for part in STATE))
    right = gradient_variance(net, x, column, VARIANTS[name], draws=9)
    found = general_variance(nets, name, x, STATE, draws=9)
    for ours, theirs in zip(found, right, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    state = settled_signals(nets, name, x, draws=5)
    for ours, theirs in zip(state, settled_state(net, x, VARIANTS[name], draws=5), strict=True):
        torch.testing.assert_close(ours, theirs[:, 0], rtol=1e-10, atol=1e-10)
    assert general_variance(nets, name, x, STATE, draws=9, seed=1).trace != found.trace  # control


def test_the_paths_variance_is_that_of_its_gradients():
    nets, x = gaussian_nets(), oracle.random_bits(3, VISIBLE)
    found = general_variance(nets, "pathwise", x, STATE, draws=7, seed=3)
    drawn = []
    for draw in range(7):
        noise = nets.inference.noise(3, "gradient variance", draw, (3, 2), torch.float64)
        loss, _ = pathwise_loss(nets.model, nets.inference, x, noise)
        parts = torch.autograd.grad(loss, list(nets.inference.parameters()))
        drawn.append(torch.cat([part.flatten() for part in parts]))
    trace = torch.stack(drawn).var(0).sum()
    torch.testing.assert_close(found.trace, trace[None, None], rtol=1e-10, atol=0)
    assert found.scale.item() == 1
    assert settled_signals(nets, "pathwise", x, draws=3).mean.item() == 0


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="at least 3 draws, got 2"):
        general_variance(gaussian_nets(), "full", oracle.random_bits(3, VISIBLE), STATE, draws=2)
