"""Small problems: the distribution they claim is that of their cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nvil_repro.data.small_patterns import (
    Patterns,
    bars_and_stripes,
    line,
    line_states,
    ring,
    ring_log_density,
)
from nvil_repro.training.likelihood import check_data


def test_bars_and_stripes_are_mackay_s() -> None:
    data = bars_and_stripes()
    assert data.train.shape == (32, 16)
    assert data.patterns.shape == (30, 16)
    images = data.patterns.view(-1, 4, 4)
    rows, columns = ((images == images.narrow(axis, 0, 1)).flatten(1).all(-1) for axis in (1, 2))
    assert bool((rows | columns).all())
    assert (int(rows.sum()), int(columns.sum()), int((rows & columns).sum())) == (16, 16, 2)
    twice = data.probabilities == 2 / 32
    assert torch.equal(twice, rows & columns)
    assert bool((data.probabilities[~twice] == 1 / 32).all())
    assert data.best == pytest.approx(-(28 * math.log(32) + 4 * math.log(16)) / 32)


@pytest.mark.parametrize("data", [bars_and_stripes(3, copies=4), line(6, cases=500)], ids=["bars", "line"])
def test_probabilities_are_those_of_the_cases(data: Patterns) -> None:
    check_data(data, 1)
    same = (data.train[:, None] == data.patterns).all(-1)
    assert bool((same.sum(1) == 1).all())
    torch.testing.assert_close(same.double().mean(0), data.probabilities, rtol=0, atol=1e-15)
    assert float(data.probabilities.sum()) == pytest.approx(1, abs=1e-12)


def test_neighbours_on_the_line_differ_in_one_bit() -> None:
    states = line_states(7).long()
    assert len(states.unique(dim=0)) == 128
    assert bool(((states[1:] - states[:-1]).abs().sum(1) == 1).all())


def test_the_line_has_two_bumps() -> None:
    data, states = line(7, cases=4000), line_states(7)
    p = torch.zeros(128, dtype=torch.float64)
    for pattern, share in zip(data.patterns, data.probabilities, strict=True):
        p[(states == pattern).all(-1).nonzero().item()] = share
    assert {int(p[:64].argmax()), 64 + int(p[64:].argmax())} <= {*range(36, 41), *range(94, 98)}
    assert float(p[:70].sum()) == pytest.approx(0.6, abs=0.01)
    assert float(p[66:74].sum()) < 0.01  # the valley


def test_the_ring_s_density_is_that_of_its_points() -> None:
    data = ring(20_000)
    axis = torch.arange(-2, 2, 0.02, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    p = ring_log_density(grid).exp() * 0.02**2
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    for part in (data.train, data.valid):
        mean, square = part.double().mean(0), part.double().square().mean(0)
        assert float((mean - p @ grid).abs().max()) < 0.02
        assert float((square - p @ grid.square()).abs().max()) < 0.02
    assert not torch.equal(data.train, data.valid)
    assert torch.equal(ring(5).train, ring(5).train)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bars_and_stripes(1), "side=1"),
        (lambda: bars_and_stripes(copies=0), "copies=0"),
        (lambda: line(1), "bits=1"),
        (lambda: line(cases=0), "cases=0"),
        (lambda: ring(0), "cases=0"),
    ],
)
def test_bad_sizes_are_refused_by_name(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
