"""The fast road: shared minibatches, nets without baselines, finite gradients at the extremes."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import VARIANTS, Ingredients, signal_state, stack_ingredients
from nvil_repro.models.belief_net import parameters
from tests import oracle


def problem(replicas=2):
    net = oracle.random_net((3, 2), replicas=replicas)
    h = tuple(oracle.random_bits(replicas, 6, size, seed=5 + size) for size in (3, 2))
    return net, oracle.random_bits(1, 6, 4), h, signal_state(2, replicas, torch.float64)


def test_a_minibatch_shared_by_replicas_is_a_minibatch_each():
    net, x, h, state = problem()
    shared, _ = nvil_gradients(net, x, h, state, Ingredients())
    each, _ = nvil_gradients(net, x.expand(2, -1, -1).contiguous(), h, state, Ingredients())
    for (name, a), (_, b) in zip(parameters(shared), parameters(each), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12, msg=name)


def test_gradients_are_sums_over_the_minibatch():
    """With the state frozen cases are independent, so a minibatch is the sum of its cases."""
    net, x, h, state = problem()
    whole, _ = nvil_gradients(net, x, h, state, Ingredients(), alpha=1.0)
    parts = [
        dict(parameters(nvil_gradients(net, x[:, [b]], [a[:, [b]] for a in h], state, Ingredients(), 1.0)[0]))
        for b in range(6)
    ]
    for name, gradient in parameters(whole):
        torch.testing.assert_close(gradient, sum(part[name] for part in parts), rtol=0, atol=1e-12)


def test_baseline_rows_switched_off_do_not_learn():
    net, x, h, state = problem()
    gradients, _ = nvil_gradients(net, x, h, state, stack_ingredients(["full", "baseline_vn"]))
    output = gradients.baselines[0].output.weight
    assert output[0].abs().sum() > 0
    assert output[1].abs().sum() == 0


def test_the_centre_is_not_trained():
    net, x, h, state = problem()
    assert not nvil_gradients(net, x, h, state, Ingredients())[0].centre.any()


def test_a_net_without_baselines_has_every_other_ingredient():
    net, x, h, state = problem()
    bare = net._replace(baselines=())
    expected, _ = nvil_gradients(net, x, h, state, VARIANTS["baseline_vn"])
    found, _ = nvil_gradients(bare, x, h, state, VARIANTS["baseline_vn"])
    assert found.baselines == ()
    assert torch.equal(found.recognition[0].weight, expected.recognition[0].weight)
    with pytest.raises(ValueError, match="the net has no baselines"):
        nvil_gradients(bare, x, h, state, VARIANTS["full"])


def test_saturated_units_give_finite_gradients():
    net, x, h, state = problem()
    for linear in (*net.generative, *net.recognition):
        linear.weight.mul_(1e4)
    gradients, signals = nvil_gradients(net, x, h, state, Ingredients())
    assert signals.raw.isfinite().all()
    assert all(gradient.isfinite().all() for _, gradient in parameters(gradients))
