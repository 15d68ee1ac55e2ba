"""Log-weights of many samples: the model's own, on the same bits, in any chunks and company."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation import weights
from nvil_repro.evaluation.weights import log_weights, weight_chunks
from nvil_repro.models.belief_net import log_weight, sample_q
from nvil_repro.trees import replica
from tests import oracle

EXACT = {"rtol": 0, "atol": 1e-12}


def collect(net, x, samples, **options):
    pieces = weight_chunks(net, x, samples, 0, "test", **options)
    return torch.cat([torch.cat(list(chunks), -1) for _, chunks in pieces], 1)


def assert_weights_are_the_models(layers):
    net, x = oracle.random_net(layers, replicas=2), oracle.random_bits(3, 4)
    uniforms = torch.rand(3, 7, sum(layers), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = log_weights(net, x, uniforms)
    for n in range(3):
        h = sample_q(net, x[None, [n]], uniforms[None, n].split(net.layers, -1))
        torch.testing.assert_close(found[:, n], log_weight(net, x[None, [n]], h), **EXACT)
        for r in range(2):
            case, bits = x[n].expand(7, -1), [b[r] for b in h]
            spelled = oracle.log_p(net, case, bits, r).sum(0) - oracle.log_q(net, case, bits, r).sum(0)
            torch.testing.assert_close(found[r, n], spelled, **EXACT)


@pytest.mark.parametrize("layers", [(3,), (3, 2), (4, 3, 2)])
def test_weights_are_the_models_on_the_same_bits(layers):
    assert_weights_are_the_models(layers)


def test_a_weight_without_its_prior_is_noticed(monkeypatch):
    right = weights.log_weights
    bare = lambda net, x, u: right(net._replace(prior=torch.zeros_like(net.prior)), x, u)  # noqa: E731
    monkeypatch.setitem(globals(), "log_weights", bare)
    with pytest.raises(AssertionError):
        assert_weights_are_the_models((3, 2))


def test_samples_do_not_depend_on_chunk_company_or_what_follows():
    net, x = oracle.random_net((3, 2), replicas=3), oracle.random_bits(5, 4)
    whole = collect(net, x, 20)
    for chunk in (1, 7, 20, 33, 1000):
        torch.testing.assert_close(collect(net, x, 20, chunk=chunk), whole, **EXACT)
    assert torch.equal(collect(replica(net, 1), x, 20)[0], whole[1])
    torch.testing.assert_close(collect(net, x[:2], 20), whole[:, :2], **EXACT)
    torch.testing.assert_close(collect(net, x, 6), whole[..., :6], **EXACT)
    torch.testing.assert_close(collect(net, x[2:], 20, first=2), whole[:, 2:], **EXACT)
    assert (collect(net, x[2:], 20) - whole[:, 2:]).abs().max() > 0.1


@pytest.mark.parametrize("samples", [3, 50])
def test_no_piece_is_larger_than_its_chunk(samples):
    net, x = oracle.random_net((3,)), oracle.random_bits(9, 4)
    pieces = [piece for _, chunks in weight_chunks(net, x, samples, 0, "test", chunk=8) for piece in chunks]
    assert max(piece.shape[1] * piece.shape[2] for piece in pieces) <= 8
    assert sum(piece.shape[1] * piece.shape[2] for piece in pieces) == 9 * samples
