"""Ladders: their values, and what the adaptive one evens out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.evaluation.annealed_importance import annealed_log_weights
from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.evaluation.ladders import (
    LADDERS,
    adaptive_ladder,
    checked_ladder,
    named_ladder,
    salakhutdinov_murray_ladder,
    uniform_ladder,
)
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.trees import view
from tests.models.test_unnormalised import normals, random_rbm

SHARP = Rbm(normals(1, 6, 5) * 4, normals(1, 6, seed=1), normals(1, 5, seed=2))


def spreads(theta: Rbm, ladder: list[float]) -> np.ndarray:
    path = annealing_path(RBM, theta)
    log_w, _ = annealed_log_weights(
        ladder,
        begin(path, 400, 9, "test"),
        path.log_ratio,
        lambda state, b, k: path.step(state, b, draws(path, 400, 9, "test", k)),
    )
    return log_w.diff(dim=0).std(-1)[:, 0].numpy()


def test_the_published_ladder() -> None:
    ladder = salakhutdinov_murray_ladder()
    assert len(ladder) == 14_501
    steps = np.diff(checked_ladder(ladder))
    for low, high, step in ((0, 500, 0.001), (500, 4500, 0.0001), (4500, 14_500, 0.00001)):
        np.testing.assert_allclose(steps[low:high], step, rtol=1e-9)
    assert (ladder[500], ladder[4500]) == (0.5, 0.9)


def test_uniform() -> None:
    assert uniform_ladder(5) == [0, 0.25, 0.5, 0.75, 1]
    with pytest.raises(ValueError, match="rungs=1"):
        uniform_ladder(1)


def test_the_adaptive_ladder_evens_out_how_much_log_ratios_vary() -> None:
    ladder = adaptive_ladder(RBM, SHARP, 20)
    assert (len(ladder), ladder[0], ladder[-1]) == (20, 0, 1)
    ours, even = spreads(SHARP, ladder), spreads(SHARP, uniform_ladder(20))
    assert ours.max() / ours.min() < 2
    assert even.max() / even.min() > 3  # control
    assert ladder == adaptive_ladder(RBM, SHARP, 20)
    assert ladder != adaptive_ladder(RBM, SHARP, 20, seed=1)


def test_a_ladder_by_its_name() -> None:
    named = {name: named_ladder(name, RBM, SHARP, 20, seed=1) for name in LADDERS}
    assert named["uniform"] == uniform_ladder(20)
    assert named["sm2008"] == salakhutdinov_murray_ladder()
    assert named["adaptive"] == adaptive_ladder(RBM, SHARP, 20, seed=1)
    with pytest.raises(ValueError, match='unknown ladder "even"; expected one of uniform, sm2008, adaptive'):
        named_ladder("even", RBM, SHARP, 20)


def test_where_nothing_varies_it_is_even() -> None:
    still = Rbm(torch.zeros_like(SHARP.weight), *SHARP[1:])
    np.testing.assert_allclose(adaptive_ladder(RBM, still, 7), uniform_ladder(7), atol=1e-12)


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"there are 2: give trees\.view"):
        adaptive_ladder(RBM, random_rbm(), 10)
    with pytest.raises(ValueError, match="rungs=1, chains=100"):
        adaptive_ladder(RBM, SHARP, 1)
    with pytest.raises(ValueError, match=r"from 0\.0 to 0\.5"):
        adaptive_ladder(RBM, view(random_rbm(), 0), 10, pilot=[0, 0.5])
    with pytest.raises(ValueError, match=r"from 0\.6 to 0\.5 at rung 2"):
        checked_ladder([0, 0.6, 0.5, 1])
