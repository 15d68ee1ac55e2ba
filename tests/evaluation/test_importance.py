"""Importance-weighted estimates: streamed in bounded memory, between bound and likelihood."""

from __future__ import annotations

import math
import tracemalloc

import pytest
import torch

from nvil_repro.evaluation import importance, weights
from nvil_repro.evaluation.bounds import Bound, estimate_bound
from nvil_repro.evaluation.exact import exact_bound, exact_log_likelihood
from nvil_repro.evaluation.importance import ImportanceEstimate, importance_estimate, whole_set_estimate
from nvil_repro.evaluation.weights import weight_chunks
from nvil_repro.models.belief_net import belief_net
from tests import oracle

EXACT = {"rtol": 0, "atol": 1e-11}


def problem(cases=5):
    return oracle.random_net((3, 2), replicas=2), oracle.random_bits(cases, 4)


def assert_streaming_is_direct(chunk):
    net, x = problem()
    pieces = weight_chunks(net, x, 100, 0, "importance")
    w = torch.cat([torch.cat(list(chunks), -1) for _, chunks in pieces], 1)
    found = importance_estimate(net, x, 100, chunk=chunk)
    torch.testing.assert_close(found.per_case, w.exp().mean(-1).log(), **EXACT)
    torch.testing.assert_close(found.value, found.per_case.mean(-1), **EXACT)
    torch.testing.assert_close(found.stderr, found.per_case.std(-1) / math.sqrt(5), **EXACT)
    torch.testing.assert_close(found.effective_samples, w.exp().sum(-1) ** 2 / w.exp().square().sum(-1))


@pytest.mark.parametrize("chunk", [None, 1, 7, 100, 250, 10_000])
def test_streaming_is_the_direct_computation_for_any_chunk(chunk):
    assert_streaming_is_direct(chunk)


def test_a_chunk_left_out_is_noticed(monkeypatch):
    def forgetful(*arguments):
        for cases, chunks in weight_chunks(*arguments):
            yield cases, list(chunks)[1:]

    monkeypatch.setattr(importance, "weight_chunks", forgetful)
    with pytest.raises(AssertionError):
        assert_streaming_is_direct(7)


def test_one_sample_is_the_single_sample_bound():
    net, x = problem()
    one = importance_estimate(net, x, 1, name="bound")
    torch.testing.assert_close(one.value, estimate_bound(net, x, samples=1).value, **EXACT)
    assert (one.effective_samples == 1).all()


def test_it_rises_from_the_bound_to_the_likelihood():
    net, x = problem()
    truth, bound = exact_log_likelihood(net, x), exact_bound(net, x)
    few = torch.stack([importance_estimate(net, x, 4, seed=s).per_case for s in range(300)])
    error = few.std(0) / math.sqrt(300)
    assert (few.mean(0) + 5 * error > bound).all()
    assert (few.mean(0) - 5 * error < truth).all()
    many = importance_estimate(net, x, 20_000)
    error = (1 / many.effective_samples - 1 / 20_000).sqrt()
    assert ((many.per_case - truth).abs() < 5 * error).all()
    assert ((many.per_case - truth).abs().mean(-1) < (few.mean(0) - truth).abs().mean(-1)).all()


def test_parts_agree_with_the_whole():
    net, x = problem()
    whole = importance_estimate(net, x, 30)
    part = importance_estimate(net, x[3:], 30, first=3)
    torch.testing.assert_close(part.per_case, whole.per_case[:, 3:], **EXACT)


def test_weights_too_small_for_a_float_are_no_trouble():
    net, x = problem()
    net.generative[0].bias.sub_(5e3)
    found = importance_estimate(net, x, 10)
    assert found.per_case.isfinite().all()
    assert (found.per_case.exp() == 0).any()


def test_memory_does_not_grow_with_samples(monkeypatch):
    """The uniforms (which numpy draws, so that they can be traced) and every tensor stay within the chunk."""
    net = belief_net(6, (40,), [0], train_mean=torch.full((6,), 0.3))
    x, largest, right = torch.zeros(1, 6), [], weights.log_weights

    def spy(net, x, uniforms):
        largest.append(uniforms.numel())
        return right(net, x, uniforms)

    monkeypatch.setattr(weights, "log_weights", spy)
    tracemalloc.start()
    importance_estimate(net, x, 50_000, chunk=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(largest) == 500 * 40
    assert len(largest) == 100
    assert peak < 1_000_000  # all samples at once: 8 MB


def test_the_default_chunk_bounds_the_largest_array():
    net = belief_net(784, (200,), [0], train_mean=torch.full((784,), 0.3))
    _, chunks = next(weight_chunks(net, torch.zeros(3, 784), 50_000, 0, "test"))
    assert next(chunks).shape[-1] * 784 <= weights.ELEMENTS


def test_progress_reaches_the_end():
    net, x = problem()
    calls = []
    importance_estimate(net, x, 10, chunk=20, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_input_that_does_not_fit_is_named():
    net, x = problem()
    with pytest.raises(ValueError, match=r"x must be \[cases, 4\]"):
        importance_estimate(net, x[:, :2], 10)
    with pytest.raises(ValueError, match="got samples=0, chunk=None"):
        importance_estimate(net, x, 0)
    with pytest.raises(ValueError, match="chunk=0"):
        importance_estimate(net, x, 10, chunk=0)


def test_a_part_stands_for_the_whole_where_the_gain_is_the_same() -> None:
    per_case = torch.tensor([[-3.0, -5.0, -4.0, -10.0]], dtype=torch.float64)
    bound = Bound(per_case.mean(-1), per_case.std(-1) / 2, per_case[0, :1], 4, per_case)

    def estimate(part: torch.Tensor, gain: list[float]) -> ImportanceEstimate:
        values = per_case[:, part] + torch.tensor([gain])
        return ImportanceEstimate(values.mean(-1), values.std(-1) / 2, values, values, 5, len(part))

    part = torch.tensor([3, 0])
    value, stderr = whole_set_estimate(bound, part, estimate(part, [2.0, 2.0]))
    assert value.item() == pytest.approx(per_case.mean().item() + 2)
    assert stderr.item() == pytest.approx(bound.stderr.item())
    value, _ = whole_set_estimate(bound, part, estimate(part, [1.0, 3.0]))
    assert value.item() == pytest.approx(per_case.mean().item() + 2)
    everything = torch.arange(4)
    direct = estimate(everything, [1.0, 3.0, 0.5, 6.0])
    value, stderr = whole_set_estimate(bound, everything, direct)
    assert value.item() == pytest.approx(direct.value.item())
    assert stderr.item() == pytest.approx(direct.stderr.item())
    assert stderr.item() != pytest.approx(bound.stderr.item())  # control
    for wrong in (torch.arange(3), torch.arange(1)):
        with pytest.raises(ValueError, match="as many, at least two"):
            whole_set_estimate(bound, wrong, estimate(part, [2.0, 2.0]))


def test_a_random_part_is_pinned() -> None:
    part = importance.random_part(50, 10)
    assert len(set(part.tolist())) == 10
    assert part.tolist() == importance.random_part(50, 10).tolist() != list(range(10))
    assert sorted(importance.random_part(5, 10).tolist()) == list(range(5))
