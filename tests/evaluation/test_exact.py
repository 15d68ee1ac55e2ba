"""Enumeration against the oracle's, chunked or not."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation import exact
from nvil_repro.evaluation.exact import enumerate_bits, exact_bound, exact_expectation, exact_log_likelihood
from nvil_repro.models.belief_net import belief_net, log_weight
from tests import oracle

EXACT = {"rtol": 0, "atol": 1e-11}


def test_every_state_once():
    states = enumerate_bits(5)
    assert states.shape == (32, 5)
    assert len({tuple(row) for row in states.tolist()}) == 32
    assert states[6].tolist() == [0, 1, 1, 0, 0]
    assert torch.equal(torch.cat([enumerate_bits(5, 0, 7), enumerate_bits(5, 7)]), states)


def assert_values_are_the_oracles(layers):
    net, x = oracle.random_net(layers, replicas=2), oracle.random_bits(3, 4)
    h = oracle.all_states(layers)
    for r in range(2):
        torch.testing.assert_close(exact_log_likelihood(net, x)[r], oracle.log_likelihood(net, x, r), **EXACT)
        torch.testing.assert_close(exact_bound(net, x)[r], oracle.bound(net, x, r), **EXACT)
        q = torch.stack([oracle.log_q(net, v.expand(len(h[0]), -1), h, r).sum(0).exp() for v in x])
        torch.testing.assert_close(exact_expectation(net, x, lambda h: h[0])[r], q @ h[0], **EXACT)


@pytest.mark.parametrize("layers", [(3,), (3, 2), (4, 3, 2)])
@pytest.mark.parametrize("chunk", [5, 1 << 8])
def test_values_are_the_oracles(layers, chunk, monkeypatch):
    monkeypatch.setattr(exact, "CHUNK", chunk)
    assert_values_are_the_oracles(layers)


def test_a_forgotten_state_is_noticed(monkeypatch):
    monkeypatch.setattr(exact, "enumerate_bits", lambda n, a, b, dtype: enumerate_bits(n, a, b - 1, dtype))
    with pytest.raises(AssertionError):
        assert_values_are_the_oracles((3, 2))


def test_the_bound_is_an_expectation_and_below_the_log_likelihood():
    net, x = oracle.random_net((3, 2)), oracle.random_bits(4, 4)
    for i in range(len(x)):
        weight = exact_expectation(net, x[[i]], lambda h, i=i: log_weight(net, x[None, [i]], h))
        torch.testing.assert_close(weight[0, 0], exact_bound(net, x)[0, i], **EXACT)
        one = exact_expectation(net, x[[i]], lambda h, i=i: log_weight(net, x[None, [i]], h).exp())
        torch.testing.assert_close(one[0, 0].log(), exact_log_likelihood(net, x)[0, i], **EXACT)
    assert (exact_bound(net, x) < exact_log_likelihood(net, x)).all()


def test_probabilities_of_all_cases_sum_to_one():
    net = oracle.random_net((3, 2), replicas=2)
    total = exact_log_likelihood(net, enumerate_bits(4)).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(2).double(), **EXACT)


def test_uint8_cases_and_float32_nets():
    net = belief_net(4, (3,), [0], train_mean=torch.full((4,), 0.3))
    value = exact_log_likelihood(net, enumerate_bits(4, dtype=torch.uint8))
    assert value.dtype == torch.float32
    assert abs(value.exp().sum().item() - 1) < 1e-5


def test_too_many_states_are_refused_with_what_to_do():
    net = belief_net(4, (200, 200), [0], train_mean=torch.full((4,), 0.3))
    with pytest.raises(ValueError, match=r"\(200, 200\) have 2\^400 states.*1,048,576.*importance_estimate"):
        exact_log_likelihood(net, torch.zeros(1, 4))
