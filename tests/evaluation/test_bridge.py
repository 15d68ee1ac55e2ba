"""Bridges: on samples in exact proportion they give the ratio itself, and stay where Meng & Wong's iteration stays."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.bridge import bridge, ladder_bridge, optimal_bridge
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.target_samples import exact_samples
from nvil_repro.evaluation.tracking import begin_tracking, track, tracked_estimate
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import energy_family
from nvil_repro.streams import normals
from tests.models.test_unnormalised import random_rbm

EXACT = {"rtol": 0, "atol": 1e-10}


class Table(NamedTuple):
    """p* of the four states of two bits, written out."""

    levels: Tensor  # [R, 4]


def _log_table(theta: Table, x: Tensor) -> Tensor:
    state = (x @ torch.tensor([1, 2]).to(x)).long().expand(len(theta.levels), -1)
    return theta.levels.log().gather(1, state)


TABLES = energy_family("table", _log_table, visible=2)


def table(*levels: float) -> tuple[Table, Tensor]:
    """A model of whole numbers and samples [1, C, 2] in exact proportion to them."""
    counts = torch.tensor(levels)
    states = torch.repeat_interleave(torch.arange(4), counts)
    return Table(counts[None].double()), torch.stack([states % 2, states // 2], -1).double()[None]


@pytest.mark.parametrize("scale", [1.0, 1e-40, 1e30])
def test_samples_in_exact_proportion_give_the_ratio_itself(scale: float) -> None:
    (p0, x0), (p1, x1) = table(3, 1, 2, 2), table(1, 5, 4, 20)
    p1 = Table(p1.levels * scale)
    ratios = [TABLES.log_unnormalised(p1, x) - TABLES.log_unnormalised(p0, x) for x in (x0, x1)]
    expected = (p1.levels.sum(-1) / p0.levels.sum(-1)).log()
    torch.testing.assert_close(optimal_bridge(*ratios).log_ratio, expected, **EXACT)
    torch.testing.assert_close(optimal_bridge(-ratios[1], -ratios[0]).log_ratio, -expected, **EXACT)
    assert (optimal_bridge(ratios[0], ratios[1][..., 5:]).log_ratio - expected).abs() > 0.01  # control


def test_it_stays_where_the_iteration_stays() -> None:
    first, second = normals(0, "test", 0, (1, 12)).double(), normals(0, "test", 1, (1, 30)).double() + 0.8
    r = optimal_bridge(first, second).log_ratio.exp()

    def iterate(r: Tensor) -> Tensor:
        top = (first.exp() / (30 * first.exp() + 12 * r)).sum(-1)
        return 30 / 12 * top / (1 / (30 * second.exp() + 12 * r)).sum(-1)

    torch.testing.assert_close(iterate(r), r, **EXACT)
    assert (iterate(1.1 * r) - 1.1 * r).abs() > 1e-3  # control


def test_equal_densities_leave_nothing_open_and_strangers_everything() -> None:
    same = optimal_bridge(torch.full((2, 5), 3.25), torch.full((2, 9), 3.25))
    assert same.log_ratio.tolist() == [3.25, 3.25]
    torch.testing.assert_close(same.ess, torch.full((2,), 14.0).double())
    torch.testing.assert_close(same.variance, torch.zeros(2).double(), **EXACT)
    apart = optimal_bridge(torch.full((1, 5), -80.0), torch.full((1, 9), 80.0))
    assert apart.variance > 1e6
    assert apart.ess < 1e-6


def test_the_interval_is_as_wide_as_estimates_differ() -> None:
    """Of normals apart by one, whose ratio is 1: the variance told is that seen over 400 pairs of samples."""
    x0, x1 = normals(0, "test", 0, (400, 50)).double(), normals(0, "test", 1, (400, 50)).double() + 1
    found = optimal_bridge(x0 - 0.5, x1 - 0.5)
    assert found.log_ratio.mean().abs() < 0.02
    assert 0.85 < found.log_ratio.var() / found.variance.mean() < 1.15
    told = (found.pulls[0].var(-1) + found.pulls[1].var(-1)) * 50
    torch.testing.assert_close(told.mean(), found.variance.mean(), rtol=0.05, atol=0)


def test_log_z_of_a_machine_by_its_ends_and_along_a_ladder() -> None:
    theta = random_rbm()
    exact, mean = exact_log_partition(RBM, theta), torch.tensor([0.2, 0.5, 0.7, 0.9])
    samples = exact_samples(RBM, theta, 2000)
    for found in (
        bridge(RBM, theta, samples, mean=mean),
        ladder_bridge(RBM, theta, ladder=uniform_ladder(15), chains=200, sweeps=3, mean=mean),
    ):
        assert bool(((found.lower < exact) & (exact < found.upper)).all()), found.method
        assert (found.upper - found.lower).max() < 0.6
        assert (found.ess > 100).all()
    wrong = bridge(RBM, theta, 1 - samples, mean=mean)  # control: no samples of the model
    assert not bool(((wrong.lower < exact) & (exact < wrong.upper)).any())
    still = Rbm(torch.zeros_like(theta.weight), *theta[1:])
    for found in (
        bridge(RBM, still, samples[:, :7]),
        ladder_bridge(RBM, still, ladder=[0, 0.3, 1], chains=5),
    ):
        for value in found[1:4]:
            torch.testing.assert_close(value, exact_log_partition(RBM, still), rtol=0, atol=1e-6)
        torch.testing.assert_close(found.log_z, exact_log_partition(RBM, still), rtol=0, atol=1e-12)


def test_the_variance_along_a_ladder_is_that_between_chains() -> None:
    """One chain meets every bridge, so what they miss adds up: as 100 runs of 50 chains differ, so is told."""
    theta = Rbm(*(3 * part for part in random_rbm()))
    runs = [ladder_bridge(RBM, theta, ladder=uniform_ladder(8), chains=50, seed=seed) for seed in range(100)]
    seen = torch.stack([run.log_z for run in runs]).var(0)
    told = torch.stack([((run.upper - run.lower) / 6) ** 2 for run in runs]).mean(0)
    assert bool(((seen / told > 0.6) & (seen / told < 1.6)).all()), (
        seen / told
    )  # the bridges' own: 2.0 and 3.5


def test_tracking_adds_up_the_bridges_of_all_updates() -> None:
    models = [table(3, 1, 2, 2), table(4, 1, 2, 3), table(4, 2, 1, 5), table(1, 5, 4, 20)]
    state = begin_tracking(*models[0], models[0][0].levels.sum(-1).log())
    variances = []
    for theta, chains in models[1:]:
        before, state = state, track(TABLES, state, theta, chains)
        variances.append(track(TABLES, before._replace(variance=torch.zeros(1)), theta, chains).variance)
    torch.testing.assert_close(state.variance, sum(variances), **EXACT)
    assert min(variances) > 1e-3
    expected = models[-1][0].levels.sum(-1).log()
    torch.testing.assert_close(state.log_z, expected, **EXACT)
    found = tracked_estimate(state)
    assert (found.method, found.log_z) == ("tracking", state.log_z)
    assert found.lower < expected < found.upper
    assert state.ess < 38
    stale = track(TABLES, begin_tracking(*models[0], state.log_z), models[-1][0], models[0][1])  # control
    assert (stale.log_z - state.log_z - math.log(30 / 8)).abs() > 0.1


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="0 samples of one density and 2 of the other"):
        optimal_bridge(torch.zeros(0), torch.zeros(2))
    with pytest.raises(ValueError, match="not finite"):
        optimal_bridge(torch.zeros(2), torch.tensor([0.0, torch.nan]))
    with pytest.raises(ValueError, match="sweeps=0"):
        ladder_bridge(RBM, random_rbm(), ladder=[0, 1], sweeps=0)
