"""Estimators by name are what they name, and refuse what they cannot do."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.learning.estimators import ESTIMATORS, Nets
from nvil_repro.learning.general import nvil_loss
from nvil_repro.learning.nvil import VARIANTS, SignalState
from tests import oracle
from tests.nets import VISIBLE, bernoulli_nets, gaussian_nets

STATE = SignalState(torch.tensor([-4.0]).double(), torch.tensor([9.0]).double())


def gradients(loss, nets):
    return torch.autograd.grad(loss, list(nets.parameters()), materialize_grads=True)


@pytest.mark.parametrize("make", [gaussian_nets, bernoulli_nets])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_general_loss_unchanged(make, name):
    nets, x = make(), oracle.random_bits(5, VISIBLE)
    noise = torch.rand(5, nets.inference.units, generator=torch.Generator().manual_seed(0)).double()
    found = nets(name, x, noise, STATE)
    h = nets.inference.sample(x, noise)
    baselines, ingredients = list(nets.baselines), VARIANTS[name]
    loss, signals = nvil_loss(
        nets.model, nets.inference, x, h, STATE, baselines=baselines, ingredients=ingredients
    )
    assert torch.equal(found.bound, signals.raw[0])
    assert torch.equal(found.state.variance, signals.state.variance)
    right = gradients(loss, nets)
    assert all(map(torch.equal, gradients(found.loss, nets), right))
    other = "none" if name != "none" else "full"  # control
    assert not all(map(torch.equal, gradients(nets(other, x, noise, STATE).loss, nets), right))


@pytest.mark.parametrize("name", ["pathwise", "pathwise_kl"])
def test_the_path_leaves_state_and_baselines_alone(name):
    nets, x = gaussian_nets(), oracle.random_bits(5, VISIBLE)
    noise = torch.ones(5, 2).double()
    outcome = nets(name, x, noise, STATE)
    assert outcome.state is STATE
    outcome.loss.backward()
    assert all(p.grad is None for p in nets.baselines.parameters())
    assert all(p.grad.any() for p in nets.inference.parameters())


def test_what_cannot_be_done_is_named():
    x, noise = oracle.random_bits(5, VISIBLE), torch.ones(5, 3).double()
    with pytest.raises(ValueError, match=f"unknown estimator 'path'; choose from {', '.join(ESTIMATORS)}"):
        gaussian_nets()("path", x, noise[:, :2], STATE)
    with pytest.raises(ValueError, match=r"BernoulliInference has no `transform`.*choose from full"):
        bernoulli_nets()("pathwise", x, noise, STATE)


def test_parts_are_registered():
    nets = gaussian_nets()
    assert isinstance(nets, Nets)
    groups = {name.partition(".")[0] for name, _ in nets.named_parameters()}
    assert groups == {"model", "inference", "baselines"}
