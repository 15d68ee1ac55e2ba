"""Linked importance sampling: its mean over every run that two bits can make is the ratio exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation import linked as module
from nvil_repro.evaluation.annealing_path import draws
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.linked import linked_importance, linked_log_weights
from nvil_repro.models.boltzmann import BOLTZMANN
from nvil_repro.models.rbm import RBM, Rbm
from tests.evaluation.annealing_problems import all_of, log_f, transition
from tests.models.test_unnormalised import random_rbm


def expected_weight(ladder: list[float], states: int, begin: Tensor, *, even: bool = True) -> Tensor:
    """E[r] [R], by summing over places, states and links of all runs; `even` places are drawn as they should be."""
    rungs = len(ladder)
    sizes = [4] + [states] * rungs + [4] * (rungs * (states - 1)) + [states] * (rungs - 1)
    first, *rest = all_of(*sizes)
    places, moves, links = rest[:rungs], iter(rest[rungs : rungs * states]), rest[rungs * states :]
    probability = begin[:, first]
    chances = torch.full((states,), 1 / states, dtype=torch.float64) if even else torch.eye(states)[0]
    for place in places:
        probability = probability * chances[place]

    def step(x: Tensor, b: float, k: int, n: int) -> Tensor:
        nonlocal probability
        to = next(moves)
        probability = probability * transition(b)[torch.arange(2)[:, None], x, to]
        return to.expand_as(x)

    def choose(k: int, log_weights: Tensor) -> Tensor:
        nonlocal probability
        chosen = links[k].expand(log_weights.shape[:-1])
        probability = probability * log_weights.softmax(-1).gather(-1, chosen[..., None])[..., 0]
        return chosen

    log_r = linked_log_weights(
        ladder,
        first.expand(2, -1),
        states,
        lambda x, a, b: (log_f(b) - log_f(a)).gather(1, x),
        step,
        lambda k: places[k],
        choose,
    )
    torch.testing.assert_close(probability.sum(-1), torch.ones(2).double(), rtol=0, atol=1e-10)
    return (log_r.exp() * probability).sum(-1)


@pytest.mark.parametrize(("ladder", "states"), [([0.0, 1.0], 2), ([0.0, 1.0], 3), ([0.0, 0.5, 1.0], 2)])
def test_the_mean_is_the_ratio(ladder: list[float], states: int) -> None:
    expected = (log_f(1.0).logsumexp(-1) - log_f(0.0).logsumexp(-1)).exp()
    found = expected_weight(ladder, states, log_f(0.0).softmax(-1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    elsewhere = expected_weight(ladder, states, log_f(1.0).softmax(-1))  # control: no samples of the base
    assert (elsewhere - expected).abs().min() > 1e-3


def test_links_must_stand_at_even_places() -> None:
    expected = (log_f(1.0).logsumexp(-1) - log_f(0.0).logsumexp(-1)).exp()
    found = expected_weight([0.0, 1.0], 3, log_f(0.0).softmax(-1), even=False)
    assert (found - expected).abs().max() > 1e-6


def test_every_step_and_place_has_a_draw_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    places: list[Tensor] = []

    def noted(path: Any, chains: int, seed: int, name: str, index: int) -> Any:
        steps.append(index)
        return draws(path, chains, seed, name, index)

    def spied(ladder: Any, start: Any, states: int, ratio: Any, step: Any, place: Any, choose: Any) -> Tensor:
        def kept(k: int) -> Tensor:
            places.append(place(k))
            return places[-1]

        return linked_log_weights(ladder, start, states, ratio, step, kept, choose)

    monkeypatch.setattr(module, "draws", noted)
    monkeypatch.setattr(module, "linked_log_weights", spied)
    linked_importance(RBM, random_rbm(), ladder=uniform_ladder(4), states=3, chains=2_000)
    assert len(steps) == len(places) * 2 == len(set(steps))
    for place in places:
        share = torch.bincount(place, minlength=3) / 2_000
        assert (share - 1 / 3).abs().max() < 5 * (2 / 9 / 2_000) ** 0.5
    assert not torch.equal(places[0], places[1])


def test_the_interval_holds_the_exact_value() -> None:
    theta = random_rbm()
    found = linked_importance(RBM, theta, ladder=uniform_ladder(8), states=4)
    exact = exact_log_partition(RBM, theta)
    assert bool(((found.lower < exact) & (exact < found.upper)).all())
    assert (found.upper - found.lower).max() < 1
    still = Rbm(torch.zeros_like(theta.weight), *theta[1:])
    torch.testing.assert_close(
        linked_importance(RBM, still, ladder=[0, 1], chains=3).log_z,
        exact_log_partition(RBM, still),
        rtol=0,
        atol=1e-12,
    )


def test_what_cannot_be_linked_is_refused() -> None:
    with pytest.raises(ValueError, match="Boltzmann machine is not its own reverse"):
        linked_importance(BOLTZMANN, None, ladder=[0, 1])
    with pytest.raises(ValueError, match="states=1"):
        linked_importance(RBM, random_rbm(), ladder=[0, 1], states=1)
