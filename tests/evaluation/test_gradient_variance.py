"""Measured gradient variance: its estimators on enumerated samples, and Monte Carlo against enumeration."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation import gradient_variance as gv
from nvil_repro.evaluation.gradient_variance import exact_gradient_variance, gradient_variance, settled_state
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import VARIANTS, Ingredients, SignalState, stack_ingredients
from nvil_repro.trees import replica
from tests import oracle

ROWS = stack_ingredients(list(VARIANTS))


def problem(replicas=1):
    net, x = oracle.random_net((3, 2), replicas=replicas), oracle.random_bits(2, 4)
    mean = torch.full((2, 5), -4.0, dtype=torch.float64)
    return net, x, SignalState(mean, torch.tensor([[9.0], [0.5]], dtype=torch.float64).expand(2, 5).clone())


def test_exact_is_the_oracle_over_both_cases_jointly():
    net, x, state = problem()
    found = exact_gradient_variance(net, x, state, ROWS)
    for row, variant in enumerate(VARIANTS.values()):
        column = SignalState(state.mean[:, row, None], state.variance[:, row, None])

        def moments(x, h, column=column, variant=variant):
            gradients, _ = nvil_gradients(net, x.expand(len(h[0]), -1, -1), h, column, variant, 1.0)
            flat = [torch.cat([p.flatten(1) for p in oracle.trained([f])], -1) for f in gradients.recognition]
            return [*flat, *(g.square().sum(-1) for g in flat)]

        *means, first, second = oracle.expectation(net, x, moments)
        for layer, (mean, square) in enumerate(zip(means, (first, second), strict=True)):
            signal = mean.square().sum()
            torch.testing.assert_close(found.signal[layer, row], signal, rtol=1e-11, atol=0)
            torch.testing.assert_close(found.trace[layer, row], square - signal, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.relative, found.trace / found.signal)
    assert found.scale.tolist() == [[3, 3, 1, 3, 1], [1, 1, 1, 1, 1]]


def test_every_variant_has_the_same_signal_before_normalisation():
    net, x, state = problem()
    exact = exact_gradient_variance(net, x, state, ROWS)
    signal = exact.signal * exact.scale**2
    torch.testing.assert_close(signal, signal[:, :1].expand_as(signal), rtol=1e-10, atol=0)


def assert_measured_is_exact(draws=600):
    net, x, state = problem()
    exact = exact_gradient_variance(net, x, state, ROWS)
    found = gradient_variance(net, x, state, ROWS, draws=draws)
    for name in ("trace", "signal", "relative"):
        error = (getattr(found, name) - getattr(exact, name)).abs()
        assert (error < 5 * getattr(found, f"{name}_stderr")).all(), name
    assert (found.trace_stderr < 0.2 * found.trace).all()
    torch.testing.assert_close(found.scale, exact.scale)


def test_measured_is_exact_within_its_error():
    assert_measured_is_exact()


def test_other_samples_are_noticed(monkeypatch):
    monkeypatch.setattr(gv, "_sample", lambda *a, right=gv._sample: [1 - h for h in right(*a)])
    with pytest.raises(AssertionError):
        assert_measured_is_exact()


def test_estimators_are_unbiased_over_all_sequences_of_draws():
    """Three draws with replacement of four gradients: the estimates of all 64 sequences average to the truth."""
    gradients = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)).double()
    mean = gradients.mean(0)
    truth = ((gradients - mean).square().sum(-1).mean(), mean.square().sum())
    traces, signals = [], []
    for index in torch.cartesian_prod(*[torch.arange(4)] * 3):
        drawn = gradients[index]
        centred = drawn - drawn.mean(0)
        spread, along = centred.square().sum(-1), centred @ drawn.mean(0)
        found = gv._estimate(
            spread[:, None, None],
            along[:, None, None],
            drawn.mean(0).square().sum()[None, None],
            torch.ones(1, 1),
        )
        traces.append(found.trace.squeeze())
        signals.append(found.signal.squeeze())
    torch.testing.assert_close(torch.stack(traces).mean(), truth[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.stack(signals).mean(), truth[1], rtol=0, atol=1e-12)


def test_the_jackknife_is_that_of_leaving_draws_out():
    gradients = torch.randn(7, 6, generator=torch.Generator().manual_seed(0)).double() + 1

    def direct(drawn):
        trace = drawn.var(0).sum()
        signal = drawn.mean(0).square().sum() - trace / len(drawn)
        return torch.stack([trace, signal, trace / signal])

    centred = gradients - gradients.mean(0)
    spread, along = centred.square().sum(-1), centred @ gradients.mean(0)
    norm = gradients.mean(0).square().sum()
    found = gv._estimate(spread[:, None, None], along[:, None, None], norm[None, None], torch.ones(1, 1))
    left = torch.stack([direct(gradients[torch.arange(7) != s]) for s in range(7)])
    stderr = ((left - left.mean(0)).square().sum(0) * 6 / 7).sqrt()
    expected = torch.stack([direct(gradients), stderr], -1).flatten()
    torch.testing.assert_close(torch.cat([part.flatten() for part in found[:6]]), expected)


def assert_same(found, row, alone):
    for name in ("trace", "trace_stderr", "signal", "relative", "scale"):
        torch.testing.assert_close(getattr(found, name)[:, row], getattr(alone, name)[:, 0])


def test_rows_and_replicas_are_what_they_are_alone():
    net, x, state = problem()
    five, _, _ = problem(replicas=5)
    rows, replicas = (gradient_variance(n, x, state, ROWS, draws=9) for n in (net, five))
    exact = exact_gradient_variance(five, x, state, ROWS)
    for row, variant in enumerate(VARIANTS.values()):
        column = SignalState(state.mean[:, row, None], state.variance[:, row, None])
        assert_same(rows, row, gradient_variance(net, x, column, variant, draws=9))
        assert_same(replicas, row, gradient_variance(replica(five, row), x, column, variant, draws=9))
        assert_same(exact, row, exact_gradient_variance(replica(five, row), x, column, variant))


def test_a_signal_drowned_in_noise_is_said_so():
    shape = (5, 1, 1)
    found = gv._estimate(
        torch.full(shape, 9.0), torch.zeros(shape), torch.full((1, 1), 0.1), torch.ones(1, 1)
    )
    assert found.signal.item() < 0
    assert found.relative.item() == found.relative_stderr.item() == float("inf")


def test_the_settled_state_is_what_minibatches_lead_to():
    net, x, _ = problem()
    state = settled_state(net, x, ROWS, draws=3)
    assert state.mean.shape == (2, 5)
    by_hand = SignalState(torch.zeros(2, 5).double(), torch.zeros(2, 5).double())
    for draw in range(3):
        h = gv._sample(net, x, 0, "settled state", draw)
        by_hand = nvil_gradients(net, x[None], h, by_hand, ROWS)[1].state
    assert torch.equal(state.variance, by_hand.variance)
    bound = oracle.bound(net, x).mean()
    settled = settled_state(net, x, Ingredients(input_baseline=False), draws=400)
    assert (settled.mean[0] - bound).abs() < 5


def test_too_few_draws_are_refused():
    net, x, state = problem()
    with pytest.raises(ValueError, match="at least 3 draws, got 2"):
        gradient_variance(net, x, state, ROWS, draws=2)


def test_cases_that_do_not_fit_are_named():
    net, x, state = problem()
    for measure in (gradient_variance, exact_gradient_variance):
        with pytest.raises(ValueError, match=r"x must be \[cases, 4\]"):
            measure(net, x[:, :3], state, ROWS)
