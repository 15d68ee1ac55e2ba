"""RAISE: the mean of its weights, over every path, is the probability under annealing itself."""

from __future__ import annotations

import pytest
import torch

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


def test_the_mean_weight_is_the_probability_of_annealing_to_x(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = [0.0, 0.4, 1.0]
    annealed = log_f(0.0).softmax(-1)
    for b in ladder[1:]:
        annealed = (annealed[:, None] @ transition(b))[:, 0]
    torch.testing.assert_close(annealed.sum(-1), torch.ones(2).double())
    x, middle, first = all_of(4, 4, 4)  # from x back to the base's sample
    monkeypatch.setattr(reverse_annealing, "annealing_path", lambda *_: scripted([middle, first]))
    log_w = raise_log_prob(RBM, machine(), STATES[x], ladder=ladder, mean=MEAN)
    back = transition(1.0)[:, x, middle] * transition(0.4)[:, middle, first]  # reversible, so its own reverse
    found = (log_w.exp() * back).unflatten(-1, (4, 16)).sum(-1)
    torch.testing.assert_close(found, annealed, **EXACT)
    assert (found - log_f(1.0).softmax(-1)).abs().max() > 1e-3  # control: the model itself is another


def test_it_lies_below_the_likelihood_and_comes_near_it() -> None:
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
