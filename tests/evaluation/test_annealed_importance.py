"""Annealed importance sampling, its expectations summed over every path of a chain of three states."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.annealed_importance import annealed_log_weights, estimate

ENERGY = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)  # log f_beta(s) = beta ENERGY[s]
BASE = math.log(3)


def log_ratio(s: Tensor, a: float, b: float) -> Tensor:
    return (b - a) * ENERGY[s]


def metropolis(beta: float) -> Tensor:
    """The transition matrix that proposes the next state or the one before, [3, 3]."""
    accept = (beta * (ENERGY - ENERGY[:, None])).exp().clamp_max(1) / 2
    return accept - torch.diag(accept.diagonal()) + torch.diag(1 - accept.sum(1) + accept.diagonal())


def expected_weights(ladder: list[float], start: Tensor) -> Tensor:
    """E[w] at every rung, by summing over all paths."""
    paths = torch.tensor(list(itertools.product(range(3), repeat=len(ladder) - 1)))
    probability = start[paths[:, 0]]
    for k, beta in enumerate(ladder[1:-1]):
        probability = probability * metropolis(beta)[paths[:, k], paths[:, k + 1]]
    log_w, end = annealed_log_weights(ladder, paths[:, 0], log_ratio, lambda s, beta, k: paths[:, k])
    assert torch.equal(end, paths[:, -1])
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-12)
    return (log_w.exp() * probability).sum(-1)


@pytest.mark.parametrize("ladder", [[0, 1], [0, 0.5, 1], [0, 0.1, 0.15, 0.7, 1.0]])
def test_weights_are_unbiased_at_every_rung_up_and_down(ladder: list[float]) -> None:
    z = torch.stack([(beta * ENERGY).exp().sum() for beta in ladder])
    found = expected_weights(ladder, torch.full((3,), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(found, z / z[0], rtol=0, atol=1e-12)
    down = expected_weights(ladder[::-1], ENERGY.softmax(0))
    torch.testing.assert_close(down[-1], z[0] / z[-1], rtol=0, atol=1e-12)
    elsewhere = expected_weights(ladder, ENERGY.flip(0).softmax(0))  # control: no samples of the base
    assert (elsewhere[-1] - found[-1]).abs() > 0.01


def test_a_step_that_changes_the_density_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "metropolis", lambda beta: torch.full((3, 3), 1 / 3).double())
    with pytest.raises(AssertionError):
        test_weights_are_unbiased_at_every_rung_up_and_down([0, 0.5, 1])


def test_the_interval_is_three_standard_errors_of_the_mean() -> None:
    log_w = torch.tensor([[0.1, 0.7, -0.4, 0.2], [800.0, 801.0, 799.5, 800.2]], dtype=torch.float64)
    found = estimate(BASE, log_w)
    w = log_w[0].exp()
    mean, error = w.mean(), w.std() / 2
    for value, expected in zip(found, (mean, mean - 3 * error, mean + 3 * error), strict=False):
        torch.testing.assert_close(value[0], BASE + expected.log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.effective_samples[0], w.sum() ** 2 / (w**2).sum())
    assert all(bool(part.isfinite().all()) for part in found)  # however large the weights
    down = estimate(BASE, log_w, falling=True)
    for value, mirrored in zip(down[:3], (found.log_z, found.upper, found.lower), strict=True):
        torch.testing.assert_close(value, 2 * BASE - mirrored, rtol=0, atol=1e-9)


def test_equal_weights_leave_nothing_open_and_one_large_weight_the_lower_end() -> None:
    equal = estimate(BASE, torch.full((5,), 2.0, dtype=torch.float64))
    assert {value.item() for value in equal[:3]} == {BASE + 2}
    assert equal.effective_samples == 5
    rare = estimate(0.0, torch.tensor([0.0, 0.0, 50.0]))
    assert rare.lower == -math.inf
    assert rare.effective_samples < 1.01
    assert estimate(0.0, torch.tensor([0.0, 0.0, 50.0]), falling=True).upper == math.inf


@pytest.mark.parametrize(
    "ladder",
    [
        [0],
        [],
        [0, 0.5],
        [0.1, 1],
        [0, 0.6, 0.4, 1],
        [0, 0.5, 0.5, 1],
        [1, 0.5, 0.1],
        [0, math.nan, 1],
        [0, 1, 1],
    ],
)
def test_ladders_that_are_none_are_refused(ladder: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected rungs that rise from 0 to 1\.0 or fall from 1\.0 to 0"):
        annealed_log_weights(ladder, torch.zeros(2).long(), log_ratio, lambda s, beta, k: s)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the log ratio at rung 2, 1\.0, is NaN"):
        annealed_log_weights(
            [0, 0.5, 1.0],
            torch.zeros(2),
            lambda s, a, b: s + (math.nan if b == 1 else 0),
            lambda s, beta, k: s,
        )
    with pytest.raises(ValueError, match="a log weight is NaN"):
        estimate(0.0, torch.tensor([0.0, math.nan]))
    with pytest.raises(ValueError, match="1 chain: expected at least 2"):
        estimate(0.0, torch.tensor([0.0]))
