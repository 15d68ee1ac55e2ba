"""RAISE: the mean of its weights, over every path, is the probability under annealing itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation import reverse_annealing
from nvil_repro.evaluation.exact_partition import exact_log_likelihood
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.reverse_annealing import raise_log_prob
from nvil_repro.models.rbm import RBM
from tests.evaluation.annealing_problems import (
    EXACT,
    MEAN,
    STATES,
    all_of,
    log_f,
    machine,
    scripted,
    transition,
)

LADDER = [0.0, 0.4, 1.0]


def annealed() -> Tensor:
    """p_ann of every state: [R, 4]."""
    p = log_f(0.0).softmax(-1)
    for b in LADDER[1:]:
        p = (p[:, None] @ transition(b))[:, 0]
    return p


def every_path(monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """log w of all paths from each state back to the base, and their probabilities: [R, 4, 16] both."""
    x, middle, first = all_of(4, 4, 4)
    monkeypatch.setattr(reverse_annealing, "annealing_path", lambda *_: scripted([middle, first]))
    log_w = raise_log_prob(RBM, machine(), STATES[x], ladder=LADDER, mean=MEAN)
    back = transition(1.0)[:, x, middle] * transition(0.4)[:, middle, first]  # reversible, so its own reverse
    return log_w.unflatten(-1, (4, 16)), back.unflatten(-1, (4, 16))


def test_the_mean_weight_is_the_probability_of_annealing_to_x(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.testing.assert_close(annealed().sum(-1), torch.ones(2).double())
    log_w, back = every_path(monkeypatch)
    found = (log_w.exp() * back).sum(-1)
    torch.testing.assert_close(found, annealed(), **EXACT)
    assert (found - log_f(1.0).softmax(-1)).abs().max() > 1e-3  # control: the model itself is another


def test_it_lies_below_the_likelihood_of_the_models_own_cases_not_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_w, back = every_path(monkeypatch)
    mean, p = (log_w * back).sum(-1), log_f(1.0).softmax(-1)
    assert (mean < annealed().log()).all()
    assert ((p * mean).sum(-1) < (p * p.log()).sum(-1)).all()
    assert (annealed() > p).any(-1).all()  # control: of single cases p_ann is no lower bound


def test_more_rungs_bring_it_near_the_likelihood() -> None:
    theta = machine()._replace(weight=5 * machine().weight)
    exact = exact_log_likelihood(RBM, theta, STATES)
    p = exact.exp()
    gaps = []
    for rungs in (3, 40):
        found = raise_log_prob(RBM, theta, STATES, ladder=uniform_ladder(rungs), chains=300, mean=MEAN)
        gaps.append((p * (exact - found)).sum(-1))
    assert (gaps[0] > gaps[1]).all()
    assert (gaps[1].abs() < 0.05).all()


def test_bad_ladders_are_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0\.0 to 0\.9"):
        raise_log_prob(RBM, machine(), STATES, ladder=[0, 0.9])
