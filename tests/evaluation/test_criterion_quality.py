"""Directions, sizes and noise of gradients that are known by construction."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.criterion_quality import gradient_quality

DRAWS = 6
CLOSE = {"rtol": 0, "atol": 1e-12}


class Two(NamedTuple):
    a: Tensor  # [R, 2]
    b: Tensor  # [R, 1]


EXACT = Two(torch.tensor([[3.0, 0.0], [1.0, 2.0]]).double(), torch.tensor([[4.0], [2.0]]).double())
NOISE = torch.randn(DRAWS, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def noisy(draw: int) -> Two:
    """Twice the exact gradient, and noise of another direction at each draw."""
    n = NOISE[draw]
    return Two(2 * EXACT.a + n[:, :2], 2 * EXACT.b + n[:, 2:])


def turned(_: int) -> Two:
    """In the first replica, at a right angle and half as long."""
    return Two(torch.tensor([[0.0, 2.5], [1.0, 2.0]]).double(), torch.tensor([[0.0], [2.0]]).double())


def test_what_has_no_noise_is_measured_to_rounding() -> None:
    (row,) = gradient_quality({"turned": turned}, EXACT, 3)
    torch.testing.assert_close(row.cosine, torch.tensor([0.0, 1.0]).double(), **CLOSE)
    torch.testing.assert_close(row.relative_norm, torch.tensor([0.5, 1.0]).double(), **CLOSE)
    torch.testing.assert_close(row.bias, torch.tensor([1.25**0.5, 0.0], dtype=torch.float64), **CLOSE)
    for part in (row.noise, row.cosine_stderr, row.relative_norm_stderr):
        torch.testing.assert_close(part, torch.zeros(2).double(), rtol=0, atol=1e-7)
    assert row.seconds > 0


def test_noise_is_measured_and_taken_out_of_the_length() -> None:
    (row,) = gradient_quality({"noisy": noisy}, EXACT, DRAWS)
    e = torch.cat(EXACT, -1)
    g = 2 * e + NOISE

    def measures(some: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, trace = some.mean(0), some.var(0).sum(-1)
        norm = (mean.square().sum(-1) - trace / len(some)).sqrt()
        return (mean * e).sum(-1) / norm / e.norm(dim=-1), norm / e.norm(dim=-1), trace.sqrt() / norm

    for found, expected in zip((row.cosine, row.relative_norm, row.noise), measures(g), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)
    left = [measures(torch.cat([g[:s], g[s + 1 :]]))[:2] for s in range(DRAWS)]
    for k, found in enumerate((row.cosine_stderr, row.relative_norm_stderr)):
        values = torch.stack([each[k] for each in left])
        expected = ((values - values.mean(0)).square().sum(0) * (DRAWS - 1) / DRAWS).sqrt()
        torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(row.bias, (g.mean(0) - e).norm(dim=-1) / e.norm(dim=-1), **CLOSE)


def test_an_expectation_that_is_known_is_used() -> None:
    twice = Two(2 * EXACT.a, 2 * EXACT.b)
    rows = gradient_quality({"noisy": noisy, "turned": turned}, EXACT, DRAWS, {"noisy": twice})
    assert [row.estimator for row in rows] == ["noisy", "turned"]
    known, _ = rows
    torch.testing.assert_close(known.cosine, torch.ones(2).double(), **CLOSE)
    torch.testing.assert_close(known.relative_norm, torch.full((2,), 2.0).double(), **CLOSE)
    torch.testing.assert_close(known.bias, torch.ones(2).double(), **CLOSE)
    assert not known.cosine_stderr.any()
    assert bool((gradient_quality({"noisy": noisy}, EXACT, DRAWS)[0].cosine_stderr > 0).all())  # control


def test_what_noise_drowns_is_nan() -> None:
    (row,) = gradient_quality({"n": lambda s: Two(*((-1) ** s * part for part in EXACT))}, EXACT, DRAWS)
    assert bool(row.cosine.isnan().all())


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="at least 3 draws, got 2"):
        gradient_quality({"turned": turned}, EXACT, 2)
    with pytest.raises(ValueError, match=r"\['other'\].*\['turned'\]"):
        gradient_quality({"turned": turned}, EXACT, 3, {"other": EXACT})
