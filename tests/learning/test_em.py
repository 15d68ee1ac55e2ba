"""EM against sums over cases and components spelled out, and against what it climbs."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from nvil_repro.learning import em
from nvil_repro.learning.em import expectation, maximisation
from nvil_repro.models.mixture import Mixture, log_prob, mixture
from tests.models.test_mixture import by_hand, random_mixture
from tests.oracle import random_bits

EXACT = {"rtol": 0, "atol": 1e-12}


def step(model: Mixture, x: Tensor, smoothing: float) -> Mixture:
    return maximisation(expectation(model, x), smoothing, model.logits.dtype)


def log_posterior(model: Mixture, x: Tensor, smoothing: float) -> Tensor:
    """The summed log-likelihood and the logarithm of the prior that smoothing stands for, but for constants: [R]."""
    mu = torch.sigmoid(model.logits)
    prior = torch.log(mu * (1 - mu)).sum((1, 2)) + model.log_weight.sum(-1)
    return log_prob(model, x).sum(-1) + smoothing * prior


def test_a_step_is_its_closed_form() -> None:
    model, x, s = random_mixture(replicas=2), random_bits(30, 4), 0.3
    stepped = step(model, x, s)
    for r in range(2):
        joint = torch.stack([by_hand(model, case, r) for case in x])  # [N, K]
        responsibility = joint / joint.sum(1, keepdim=True)
        for k in range(3):
            share = responsibility[:, k].sum()
            pi = (share + s) / (len(x) + 3 * s)
            torch.testing.assert_close(stepped.log_weight[r, k].exp(), pi, **EXACT)
            for j in range(4):
                mu = ((responsibility[:, k] * x[:, j]).sum() + s) / (share + 2 * s)
                torch.testing.assert_close(torch.sigmoid(stepped.logits[r, k, j]), mu, **EXACT)
    assert (step(model, x, 0.4).logits - stepped.logits).abs().max() > 1e-3  # control


def test_statistics_are_sums_over_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts in which the cases come: responsibilities sum to one, a case's bits are shared out."""
    model, x = random_mixture(replicas=2), random_bits(31, 4)
    found = expectation(model, x)
    torch.testing.assert_close(found.cases.sum(-1), torch.full((2,), 31.0, dtype=torch.float64), **EXACT)
    torch.testing.assert_close(found.on.sum(1), x.sum(0).expand(2, -1), **EXACT)
    torch.testing.assert_close(found.log_likelihood, log_prob(model, x).mean(-1), **EXACT)
    monkeypatch.setattr(em, "CASES", 7)
    for a, b in zip(expectation(model, x.to(torch.uint8)), found, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.parametrize("smoothing", [1e-6, 0.1, 2.0])
def test_what_it_climbs_never_falls(smoothing: float) -> None:
    model, x = random_mixture(visible=6, components=4, replicas=2), random_bits(40, 6)
    before = log_posterior(model, x, smoothing)
    for _ in range(60):
        model = step(model, x, smoothing)
        after = log_posterior(model, x, smoothing)
        assert (after >= before - 1e-10).all()
        before = after
    for part in range(2):  # the end is a maximum: moving away from it costs
        moved = list(model)
        moved[part] = moved[part] + 0.05 * torch.randn(moved[part].shape).sign()
        moved[0] = moved[0].log_softmax(-1)
        assert (log_posterior(Mixture(*moved), x, smoothing) < after + 1e-3).all()


def test_the_likelihood_alone_never_falls_without_smoothing() -> None:
    model, x, values = random_mixture(visible=6, components=4), random_bits(40, 6), []
    for _ in range(40):
        values.append(log_prob(model, x).mean().item())
        model = step(model, x, 1e-12)
    assert all(b >= a - 1e-9 for a, b in pairwise(values))
    assert values[-1] > values[0] + 0.5
    swapped = model._replace(logits=model.logits.flip(1))  # control: the wrong weights, and it does fall
    assert log_prob(swapped, x).mean().item() < values[-1] - 1e-6


def test_an_empty_component_starts_over_and_harms_no_other() -> None:
    model, x = random_mixture(), random_bits(30, 4)
    empty = model._replace(logits=torch.cat([model.logits[:, :2], torch.full((1, 1, 4), -800.0).double()], 1))
    x[:, 0] = 1  # which the last component excludes
    stepped = step(empty, x, 0.1)
    assert expectation(empty, x).cases[0, 2] < 1e-30
    assert stepped.logits[0, 2].abs().max() < 1e-12
    torch.testing.assert_close(stepped.log_weight[0, 2].exp().item(), 0.1 / 30.3)
    pair = Mixture(empty.log_weight[:, :2].log_softmax(-1), empty.logits[:, :2])
    torch.testing.assert_close(stepped.logits[:, :2], step(pair, x, 0.1).logits, **EXACT)


def test_single_precision_stays_close() -> None:
    x = random_bits(3000, 20)
    exact = mixture(10, [0], x, dtype=torch.float64)
    single = Mixture(*(part.float() for part in exact))
    for _ in range(5):
        exact, single = step(exact, x, 0.1), step(single, x, 0.1)
    assert single.logits.dtype == torch.float32
    torch.testing.assert_close(single.logits.double(), exact.logits, rtol=1e-3, atol=1e-3)


def test_no_smoothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smoothing must be above 0.*got 0\.0"):
        maximisation(expectation(random_mixture(), random_bits(5, 4)), 0.0)
