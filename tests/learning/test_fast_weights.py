"""Fast weights: a sum of fading slopes, seen by the chains alone."""

from __future__ import annotations

import torch

from nvil_repro.learning.fast_weights import DECAY, followed, overlaid
from tests.models.test_unnormalised import EXACT, random_rbm


def test_fast_weights_are_a_fading_sum_of_slopes() -> None:
    slopes = [random_rbm(), random_rbm()._replace(weight=torch.ones(2, 4, 3).double()), random_rbm()]
    fast = type(slopes[0])(*(torch.zeros_like(part) for part in slopes[0]))
    for slope in slopes:
        fast = followed(fast, slope, 0.1)
    for found, *each in zip(fast, *slopes, strict=True):
        expected = sum(0.1 * DECAY ** (2 - t) * part for t, part in enumerate(each))
        torch.testing.assert_close(found, expected, **EXACT)
        assert (found - 0.1 * sum(each)).abs().max() > 1e-3  # control: without decay


def test_the_overlay_is_a_model_of_its_own() -> None:
    theta, fast = random_rbm(), random_rbm()
    before = theta.weight.clone()
    seen = overlaid(theta, fast)
    torch.testing.assert_close(seen.weight, 2 * before, **EXACT)
    assert torch.equal(theta.weight, before)
