"""Coverage: counted right, and of a real estimator near what its interval promises."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.evaluation.calibration import coverage, wilson
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.partition import ais
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.models.rbm import RBM
from tests.models.test_unnormalised import random_rbm


def test_it_counts_the_intervals_that_hold_the_exact_value() -> None:
    def estimator(family: object, theta: object, seed: int) -> PartitionEstimate:
        log_z = torch.tensor([seed / 10, 0.0]).double()
        return PartitionEstimate("mine", log_z, log_z - 0.25, log_z + 0.25, torch.ones(2))

    first, second = coverage(RBM, None, estimator, 10, torch.tensor([0.2, 0.3]).double(), first_seed=1)
    assert (first.method, first.replica, first.trials, first.covered) == ("mine", 0, 10, 4)
    assert (second.replica, second.covered) == (1, 0)
    assert (first.lower, first.upper) == wilson(4, 10)
    assert first.bias == pytest.approx(0.35)
    assert second.spread == 0
    assert first.width == pytest.approx(0.5)
    with pytest.raises(ValueError, match="trials=1"):
        coverage(RBM, None, estimator, 1, torch.zeros(2))


def test_wilsons_interval_solves_its_equation() -> None:
    for count, trials in ((4, 10), (199, 200)):
        for end in wilson(count, trials):
            assert abs(end - count / trials) == pytest.approx(1.96 * (end * (1 - end) / trials) ** 0.5)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)


def test_intervals_of_annealing_are_as_good_as_they_say() -> None:
    theta = random_rbm()
    exact = exact_log_partition(RBM, theta)

    def estimator(family: object, theta: object, seed: int) -> PartitionEstimate:
        return ais(RBM, theta, ladder=[0, 0.3, 0.6, 1], seed=seed)

    for row in coverage(RBM, theta, estimator, 100, exact):
        assert row.covered >= 97
        assert row.bias == pytest.approx(0, abs=5 * row.spread / 10)
    for row in coverage(RBM, theta, estimator, 20, exact + 1):
        assert row.covered == 0  # control
