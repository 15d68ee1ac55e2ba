"""Expected gradients by quadrature: NVIL's and the reparameterisation's are the gradient of the bound, to 1e-10.

On the linear-Gaussian model the bound has a closed form; all integrands are polynomials of degree four or less in each
direction of the noise, so that three nodes are exact.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nvil_repro.learning import nvil
from nvil_repro.learning.estimators import Nets
from nvil_repro.learning.general import nvil_loss
from nvil_repro.learning.nvil import Ingredients, SignalState
from nvil_repro.learning.reparameterisation import pathwise_kl_loss, pathwise_loss
from nvil_repro.models.gaussian import GaussianInference
from tests import oracle
from tests.nets import VISIBLE, LinearGaussian, gaussian_nets, quadrature

EXACT = {"rtol": 0, "atol": 1e-10}
PLAIN = nvil.VARIANTS["none"]


@pytest.fixture
def double():
    """float64 by default, and a fixed state of torch's own generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(torch.float32)


@pytest.fixture
def problem(double):
    """A linear-Gaussian model of three visibles and two latents, its inference network, two cases."""
    model = LinearGaussian(3, 2)
    inference = GaussianInference(nn.Linear(3, 4), 2, torch.full((3,), 0.3))
    return model, inference, torch.randn(2, 3)


def parameters(model, inference):
    return [*model.parameters(), *inference.parameters()]


def exact_gradient(model, inference, x):
    mean, log_deviation = inference(x)
    return torch.autograd.grad(model.bound(x, mean, log_deviation.exp()).sum(), parameters(model, inference))


def expected_gradient(loss, leaves, x, nodes=3, units=2):
    """E of minus the gradient of `loss(noise)` over the noise [B, H] of all cases jointly."""
    total = [torch.zeros_like(leaf) for leaf in leaves]
    for node, weight in zip(*quadrature(len(x) * units, nodes), strict=True):
        found = torch.autograd.grad(loss(node.view(len(x), units)), leaves, materialize_grads=True)
        total = [sum_ - weight * part for sum_, part in zip(total, found, strict=True)]
    return total


def of_nvil(model, inference, x, ingredients=PLAIN, state=None, **given):
    state = state or nvil.signal_state(1, dtype=torch.float64)
    return lambda noise: nvil_loss(
        model, inference, x, inference.sample(x, noise), state, ingredients=ingredients, **given
    )[0]


def of_path(model, inference, x):
    return lambda noise: pathwise_loss(model, inference, x, noise)[0]


def assert_same(found, exact):
    for ours, truth in zip(found, exact, strict=True):
        torch.testing.assert_close(ours, truth, **EXACT)


def baseline(x, h):
    """Any function of x."""
    return x.sum(-1).sin() * 5


@pytest.mark.parametrize(
    "make",
    [
        of_path,
        of_nvil,
        lambda *nets: of_nvil(
            *nets, Ingredients(constant_baseline=False, variance_normalisation=False), baselines=[baseline]
        ),
    ],
    ids=["pathwise", "none", "input baseline"],
)
def test_the_expected_gradient_is_that_of_the_bound(problem, make):
    model, inference, x = problem
    found = expected_gradient(make(*problem), parameters(model, inference), x)
    assert_same(found, exact_gradient(*problem))


def test_the_constant_baseline_shrinks_the_inference_gradient_by_its_known_share(problem):
    model, inference, x = problem
    state = SignalState(torch.tensor([-7.0]), torch.tensor([3.0]))
    loss = of_nvil(*problem, nvil.VARIANTS["baseline"], state)
    found = expected_gradient(loss, parameters(model, inference), x)
    exact, factor = exact_gradient(*problem), 1 - (1 - nvil.ALPHA) / len(x)
    split = len(list(model.parameters()))
    assert_same(found[:split], exact[:split])
    assert_same(found[split:], [factor * part for part in exact[split:]])
    with pytest.raises(AssertionError):  # control: the share is seen
        assert_same(found[split:], exact[split:])


class Cut(GaussianInference):
    """A path that forgets the deviation's gradient."""

    def transform(self, x, normals):
        mean, log_deviation = self(x)
        return mean + log_deviation.exp().detach() * normals


class Shifted(GaussianInference):
    """Samples of another distribution than `log_prob` says."""

    def sample(self, x, normals):
        return super().sample(x, normals) + 1e-6


@pytest.mark.parametrize(("broken", "make"), [(Cut, of_path), (Shifted, of_nvil)])
def test_a_broken_path_and_a_broken_sampler_are_noticed(problem, broken, make):
    model, inference, x = problem
    other = broken(inference.network, 2, inference.centre)
    found = expected_gradient(make(model, other, x), parameters(model, other), x)
    with pytest.raises(AssertionError):
        assert_same(found, exact_gradient(*problem))


def test_at_the_posterior_the_signal_is_constant_and_the_path_is_still_noisy(double):
    """The signal is log P(x) whatever h, so with it as baseline NVIL's gradient has no variance; the path's has."""
    model, x = LinearGaussian(3, 1), torch.randn(2, 3)
    precision = 1 + model.weight.square().sum() / (2 * model.log_sigma).exp()
    network = nn.Linear(3, 2)
    inference = GaussianInference(network, 1, torch.zeros(3))
    with torch.no_grad():
        gain = model.weight[:, 0] / (2 * model.log_sigma).exp() / precision
        network.weight.copy_(torch.stack([gain, torch.zeros(3)]))
        network.bias.copy_(torch.stack([-(gain @ model.bias), -0.5 * precision.log()]))
    covariance = model.weight @ model.weight.T + (2 * model.log_sigma).exp() * torch.eye(3)
    evidence = torch.distributions.MultivariateNormal(model.bias, covariance).log_prob(x).detach()
    noise = torch.randn(2, 1)
    state = nvil.signal_state(1, dtype=torch.float64)
    ingredients = Ingredients(constant_baseline=False, variance_normalisation=False)
    h = inference.sample(x, noise)
    loss, signals = nvil_loss(
        model, inference, x, h, state, baselines=[lambda x, h: evidence], ingredients=ingredients
    )
    torch.testing.assert_close(signals.raw[0], evidence, **EXACT)
    assert_same(
        torch.autograd.grad(loss, network.parameters()), [torch.zeros_like(p) for p in network.parameters()]
    )
    path = torch.autograd.grad(pathwise_loss(model, inference, x, noise)[0], network.parameters())
    assert max(part.abs().max().item() for part in path) > 0.1
    assert_same(exact_gradient(model, inference, x)[3:], [torch.zeros_like(p) for p in network.parameters()])


def test_all_estimators_agree_on_a_model_without_closed_form():
    nets, x = gaussian_nets(units=1), oracle.random_bits(1, VISIBLE)
    nets.model.network[0].weight.data *= 0.2  # tanh gentle enough for quadrature to converge
    leaves = parameters(nets.model, nets.inference)
    losses = [
        of_nvil(nets.model, nets.inference, x),
        of_path(nets.model, nets.inference, x),
        lambda noise: pathwise_kl_loss(nets.model, nets.inference, x, noise)[0],
    ]
    nvils, path, path_kl = (expected_gradient(loss, leaves, x, nodes=64, units=1) for loss in losses)
    assert_same(path_kl, path)
    assert_same(nvils, path)
    assert max(part.abs().max().item() for part in path) > 0.1


def test_the_value_is_the_bound_of_every_case(problem):
    model, inference, x = problem
    noise = torch.randn(2, 2)
    h = inference.sample(x, noise)
    expected = model.log_prob(x, h).sum(0) - inference.log_prob(h, x)
    loss, bound = pathwise_loss(model, inference, x, noise)
    torch.testing.assert_close(bound, expected.detach(), **EXACT)
    torch.testing.assert_close(loss, -bound.sum(), **EXACT)
    assert not bound.requires_grad
    nets = Nets(model, inference, [])
    assert torch.equal(nets("pathwise", x, noise, nvil.signal_state(1)).bound, bound)
