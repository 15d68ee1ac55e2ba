"""Deep inference networks: a single layer is the paper's, and a start depends on seed and names alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nvil_repro.models.deep import BernoulliInference, initialise, tanh_network
from nvil_repro.models.modules import as_modules
from tests import oracle


def test_a_tanh_network_ends_linear():
    network = tanh_network([6, 5, 4, 3])
    assert [type(part) for part in network] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert network(torch.zeros(2, 6)).shape == (2, 3)


def mirrored():
    """The paper's inference network, and the same as a network of one linear map."""
    _, paper, _ = as_modules(oracle.random_net((3,)))
    linear = nn.Linear(4, 3).double()
    linear.load_state_dict({name: paper.layers[0].state_dict()[name] for name in ("weight", "bias")})
    return paper, BernoulliInference(nn.Sequential(linear), 3, paper.centre)


def test_one_linear_map_is_the_mirrored_network():
    paper, ours = mirrored()
    x, h = oracle.random_bits(5, 4), (oracle.random_bits(5, 3, seed=2),)
    torch.testing.assert_close(ours.log_prob(h, x), paper.log_prob(h, x)[0], rtol=0, atol=1e-12)
    with pytest.raises(AssertionError):  # control: the centre counts
        torch.testing.assert_close(ours.log_prob(h, x + 0.1), paper.log_prob(h, x)[0])


def test_bits_are_one_where_the_uniform_is_below_the_mean():
    _, ours = mirrored()
    x = oracle.random_bits(5, 4)
    mean = ours.network(x - ours.centre).sigmoid()
    for uniforms, bit in ((mean - 1e-9, 1.0), (mean + 1e-9, 0.0)):
        (h,) = ours.sample(x, uniforms)
        assert (h == bit).all()
        assert not h.requires_grad


def test_a_start_is_a_function_of_the_seed():
    nets = [tanh_network([50, 40, 3]) for _ in range(3)]
    for network, seed in zip(nets, (0, 0, 1), strict=True):
        initialise(network, seed)
    first, again, other = (torch.cat([p.flatten() for p in network.parameters()]) for network in nets)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert nets[0][0].weight.std().item() == pytest.approx(50**-0.5, rel=0.1)
    assert not nets[0][0].bias.any()
