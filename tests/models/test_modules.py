"""Modules made of one replica say what the net says."""

from __future__ import annotations

import torch

from nvil_repro.models.modules import as_modules
from tests import oracle

EXACT = {"rtol": 0, "atol": 1e-12}


def test_modules_agree_with_the_oracle():
    net = oracle.random_net((3, 2), replicas=2)
    x, h = oracle.random_bits(5, 4), tuple(oracle.random_bits(5, size, seed=size) for size in (3, 2))
    for r in range(2):
        model, inference, baselines = as_modules(net, r)
        torch.testing.assert_close(model.log_prob(x, h), oracle.log_p(net, x, h, r), **EXACT)
        torch.testing.assert_close(inference.log_prob(h, x), oracle.log_q(net, x, h, r), **EXACT)
        for i, below in enumerate([x - net.centre, h[0]]):
            hidden, output = net.baselines[i]
            value = torch.tanh(below @ hidden.weight[r] + hidden.bias[r]) @ output.weight[r] + output.bias[r]
            torch.testing.assert_close(baselines[i](x, h), value[:, 0], **EXACT)


def test_samples_follow_the_generator_and_carry_no_gradient():
    _, inference, _ = as_modules(oracle.random_net((3, 2)))
    x = oracle.random_bits(5, 4)
    first, again = (inference.sample(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert [b.shape for b in first] == [(5, 3), (5, 2)]
    assert all(torch.equal(a, b) and not a.requires_grad for a, b in zip(first, again, strict=True))


def test_a_net_without_baselines_gives_none():
    assert as_modules(oracle.random_net((3,))._replace(baselines=()))[2] == []
