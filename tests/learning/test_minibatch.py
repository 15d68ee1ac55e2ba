"""One minibatch from outside: named results without a replica axis, and errors that name the array."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.minibatch import nvil_minibatch
from nvil_repro.learning.nvil import Ingredients, SignalState, signal_state
from nvil_repro.models.belief_net import parameters
from tests import oracle


@pytest.fixture
def problem():
    x, h = oracle.random_bits(5, 4), [oracle.random_bits(5, size, seed=size) for size in (3, 2)]
    return oracle.random_net((3, 2)), x.numpy().astype(np.uint8), [b.numpy().astype(bool) for b in h]


def test_it_is_algorithm_1(problem):
    net, x, h = problem
    v, bits = torch.tensor(x).double(), [torch.tensor(b).double() for b in h]
    result = nvil_minibatch(net, x, h)
    torch.testing.assert_close(result.log_p, oracle.log_p(net, v, bits).sum(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(result.log_q, oracle.log_q(net, v, bits).sum(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(result.signals, oracle.signals(net, v, bits), rtol=0, atol=1e-12)
    state = signal_state(2, 1, torch.float64)
    gradients, signals = nvil_gradients(net, v[None], [b[None] for b in bits], state, Ingredients())
    assert torch.equal(result.used, signals.used[:, 0])
    assert result.gradients.keys() == dict(parameters(net)).keys()
    for name, gradient in parameters(gradients):
        assert torch.equal(result.gradients[name], gradient[0])


def test_the_state_goes_round(problem):
    net, x, h = problem
    first = nvil_minibatch(net, x, h)
    second = nvil_minibatch(net, x, h, state=first.state)
    torch.testing.assert_close(second.state.mean, 1.8 * first.state.mean)  # 0.8 c + 0.2 mean(l), from c = 0
    assert not torch.equal(second.used, first.used)
    frozen = SignalState(torch.ones(2).double(), torch.ones(2).double())
    assert torch.equal(nvil_minibatch(net, x, h, state=frozen, alpha=1.0).state.mean, frozen.mean)


def test_a_net_without_baselines_needs_no_switch(problem):
    net, x, h = problem
    result = nvil_minibatch(net._replace(baselines=()), x, h)
    assert {name.split("/")[0] for name in result.gradients} == {"model", "inference"}


def test_what_does_not_fit_is_named(problem):
    net, x, h = problem
    with pytest.raises(ValueError, match=r"x must be \[cases, 4\].*got shape \[5, 3\]"):
        nvil_minibatch(net, x[:, :3], h)
    grey = h[1].astype(float)
    grey[2, 1] = 0.5
    with pytest.raises(ValueError, match=r"h\[1\] must hold zeros and ones only, got 0.5 at \[2, 1\]"):
        nvil_minibatch(net, x, [h[0], grey])
    with pytest.raises(ValueError, match=r"equally many cases, got \[5, 5, 4\]"):
        nvil_minibatch(net, x, [h[0], h[1][:4]])
    with pytest.raises(ValueError, match="h has 1 layers, expected 2"):
        nvil_minibatch(net, x, h[:1])
    with pytest.raises(
        ValueError, match=r"state holds \[\[1\], \[1\]\]: expected a number for each of 2 layers"
    ):
        nvil_minibatch(net, x, h, state=signal_state(1, dtype=torch.float64))
    with pytest.raises(ValueError, match="the net has 3 replicas"):
        nvil_minibatch(oracle.random_net((3, 2), replicas=3), x, h)
