"""Where document nets start, and the words their units favour."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import from_dense
from nvil_repro.models import multinomial
from nvil_repro.models.belief_net import Architecture, belief_net, log_p_terms, log_weight, parameters
from nvil_repro.models.document_net import document_net
from tests import oracle

TRAIN = from_dense(np.array([[3, 0, 1, 0], [1, 2, 0, 0], [0, 4, 1, 0]]))


def test_without_its_units_it_is_the_smoothed_unigram() -> None:
    net = document_net(TRAIN, (3, 2), [0], dtype=torch.float64)
    expected = torch.tensor([5.0, 7.0, 3.0, 1.0]).double() / 16
    torch.testing.assert_close(net.generative[0].bias[0].softmax(-1), expected)
    torch.testing.assert_close(net.centre, torch.tensor([4.0, 6.0, 2.0, 0.0]).double() / 3)


def test_all_else_starts_as_any_belief_net() -> None:
    net = document_net(TRAIN, (3, 2), [0, 5])
    same = belief_net(4, (3, 2), [0, 5], train_mean=torch.zeros(4))
    for (name, a), (_, b) in zip(parameters(net), parameters(same), strict=True):
        assert torch.equal(a, b) == (name != "model/0/bias")


@pytest.mark.parametrize("layers", [(3,), (3, 2)])
def test_terms_are_those_of_words_and_of_units(layers: tuple[int, ...]) -> None:
    net = oracle.random_net(layers, architecture=Architecture(prior=True))
    x = torch.tensor([[3.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    h = [oracle.random_bits(2, size, seed=size) for size in layers]
    spelled, q = oracle.log_p(net, x, h, visible=oracle.words), oracle.log_q(net, x, h)
    found = log_p_terms(net, x, h, multinomial)[:, 0]
    torch.testing.assert_close(found, spelled, rtol=0, atol=1e-12)
    weight = log_weight(net, x, h, multinomial)[0]
    torch.testing.assert_close(weight, spelled.sum(0) - q.sum(0), rtol=0, atol=1e-12)
    assert (log_p_terms(net, x, h)[0] - spelled[0]).abs().max() > 0.1  # control: of bits


def test_words_do_not_condition_on_one_another() -> None:
    with pytest.raises(ValueError, match=r"expected Architecture\(visible=False\)"):
        document_net(TRAIN, (3,), [0], architecture=Architecture(visible=True))
