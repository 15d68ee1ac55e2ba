"""Wake-sleep's two gradients, exactly, by enumerating every state of a small net."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.learning.closed_form import inference_gradient
from nvil_repro.learning.wake_sleep import wake_sleep_gradients
from nvil_repro.models.belief_net import SBN, q_logits
from tests import oracle


def exact_sleep_gradient(net):
    """E_P(x,h)[d log Q(h | x)], equation 13, by autograd through the sum over every x and h."""
    layers = [oracle.free(q) for q in net.recognition]
    x, *h = oracle.all_states((len(net.centre), *net.layers))
    weight = oracle.log_p(net, x, h).sum(0).exp().detach()
    total = (weight * oracle.log_q(net._replace(recognition=tuple(layers)), x, h).sum(0)).sum()
    return [g[0] for g in torch.autograd.grad(total, oracle.trained(layers))]


def sleep_gradient(net, x, h, signals=None):
    return inference_gradient(net, x, h, q_logits(net, x, h), signals)


def expected_sleep_gradient(net, gradient=sleep_gradient):
    """The estimator averaged over every dream, one a replica's row, weighted by P."""
    states = oracle.all_states((len(net.centre), *net.layers))
    weight = oracle.log_p(net, states[0], states[1:]).sum(0).exp()
    x, *h = (bits[:, None] for bits in states)
    rows = gradient(net, x, h)
    return [torch.tensordot(weight, row, dims=1) for row in oracle.trained(rows)]


@pytest.mark.parametrize("architecture", [SBN, oracle.FULL], ids=str)
@pytest.mark.parametrize("layers", [(3,), (3, 2)])
def test_dreams_give_the_gradient_of_equation_13(layers, architecture):
    net = oracle.random_net(layers, architecture=architecture)
    for found, exact in zip(expected_sleep_gradient(net), exact_sleep_gradient(net), strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-11)


def test_a_signal_on_dreams_is_noticed():
    """Weighting dreams, as NVIL weights its samples, is another gradient."""
    net = oracle.random_net((3,))

    def weighted(net, x, h):
        return sleep_gradient(net, x, h, 1 + 1e-6 * x.sum(-1)[None])

    differences = zip(expected_sleep_gradient(net, weighted), exact_sleep_gradient(net), strict=True)
    assert max((found - exact).abs().max().item() for found, exact in differences) > 1e-8


@pytest.mark.parametrize("architecture", [SBN, oracle.FULL], ids=str)
def test_awake_the_model_climbs_the_bound(architecture):
    net, x = oracle.random_net((3, 2), architecture=architecture), oracle.random_bits(1, 4)

    def estimator(x, h):
        dream = (x.expand(len(h[0]), -1, -1), *h)
        g = wake_sleep_gradients(net, x.expand(len(h[0]), -1, -1), h, dream)
        return [p for p in (g.prior, g.prior_lateral) if p.numel()] + oracle.trained(g.generative)

    for found, exact in zip(
        oracle.expectation(net, x, estimator), oracle.model_gradient(net, x), strict=True
    ):
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-11)
