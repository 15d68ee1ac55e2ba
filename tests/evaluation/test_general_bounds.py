"""On a belief network the general road gives what the belief networks' own gives, sample for sample."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.general_bounds import bound_of, general_weights, importance_of
from nvil_repro.evaluation.importance import importance_estimate
from nvil_repro.learning.estimators import Nets
from nvil_repro.models.deep import BernoulliInference
from nvil_repro.models.modules import as_modules
from tests import oracle
from tests.nets import VISIBLE, gaussian_nets, quadrature


def both_roads():
    """A belief network of one layer, and the same as modules."""
    net = oracle.random_net((3,))
    model, mirrored, baselines = as_modules(net)
    inference = BernoulliInference(mirrored.layers[0], 3, mirrored.centre)
    return net, Nets(model, inference, baselines), oracle.random_bits(7, 4)


def test_bound_and_estimate_are_those_of_the_belief_net():
    net, nets, x = both_roads()
    weights = general_weights(nets, x, 9, seed=2, name="test")
    bound, ours = estimate_bound(net, x, samples=9, seed=2, name="test"), bound_of(weights)
    torch.testing.assert_close(ours, bound, rtol=0, atol=1e-12)
    estimate = importance_estimate(net, x, 9, seed=2, name="test")
    torch.testing.assert_close(importance_of(weights), estimate, rtol=0, atol=1e-12)
    other = bound_of(general_weights(nets, x, 9, seed=3, name="test"))  # control
    assert other.value != ours.value


def test_a_case_does_not_depend_on_its_company(monkeypatch):
    _, nets, x = both_roads()
    together = general_weights(nets, x, 5)
    monkeypatch.setattr("nvil_repro.evaluation.general_bounds.ELEMENTS", 45)  # two cases at a time
    torch.testing.assert_close(general_weights(nets, x, 5), together, rtol=0, atol=1e-12)
    torch.testing.assert_close(general_weights(nets, x[:3], 5), together[:3], rtol=0, atol=1e-12)


class InOnePiece(torch.nn.Module):
    """A model whose log-probability has no layers."""

    def __init__(self, layered):
        super().__init__()
        self.layered = layered

    def log_prob(self, x, h):
        return self.layered.log_prob(x, h).sum(0)


def test_a_model_in_one_piece_has_the_bound_of_its_layers():
    _, nets, x = both_roads()
    whole = Nets(InOnePiece(nets.model), nets.inference, nets.baselines)
    layered = general_weights(nets, x, 5)
    torch.testing.assert_close(general_weights(whole, x, 5), layered, rtol=0, atol=1e-12)
    assert layered.shape == (7, 5)
    assert nets.model.log_prob(x, [torch.zeros(7, 3).double()]).shape == (2, 7)  # control: it has layers


def test_gaussian_weights_average_to_the_likelihood():
    """E_Q[P(x, h) / Q(h | x)] is P(x), which quadrature over the prior gives too."""
    nets, x = gaussian_nets(units=1), oracle.random_bits(4, VISIBLE)
    nodes, masses = quadrature(1, 60)
    right = [
        (nets.model.log_likelihood(case.expand(60, -1), nodes) + masses.log()).logsumexp(0).detach()
        for case in x
    ]
    weights = general_weights(nets, x, 4_000)
    found = importance_of(weights).value
    assert found.item() == pytest.approx(torch.stack(right).mean().item(), abs=0.02)
    assert bound_of(weights).value < found - 0.1  # control


def test_no_samples_are_refused():
    _, nets, x = both_roads()
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        general_weights(nets, x, 0)
