"""Ascent of matrices wider than a span of columns, and what the compiled code refuses to read."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from numba import njit
from numba.core.errors import TypingError

from nvil_repro.kernels.ascent import (
    MOMENTUM,
    SPAN,
    Layer,
    Trained,
    ascend,
    rule_at,
    shrinking,
    update_lateral,
)
from nvil_repro.kernels.products import activate, active


@njit(error_model="numpy")
def _move(on, errors, layer, constants, rate, lost, work):
    rule = shrinking(rule_at(MOMENTUM, constants, 0), lost)
    update_lateral(on, errors, layer, rate, rule, work)


@njit(error_model="numpy")
def _activate(bits, on):
    activate(bits, on)


def test_weights_between_the_units_of_a_wide_layer() -> None:
    """Every entry above the diagonal moves once: centred, with momentum and with weight decay."""
    rng, units, centre, rate, lost = np.random.default_rng(0), int(SPAN) + 21, 0.3, 0.1, 0.01
    errors, bits = rng.normal(size=(3, units)), rng.integers(0, 2, (3, units)).astype(np.uint8)
    lateral, first = (np.triu(rng.normal(size=(units, units)), 1) for _ in range(2))
    value, bias, moment = lateral.copy(), np.zeros((1, units)), first.copy()
    nothing = np.zeros((0, units))
    on = active(3, units)
    _activate(bits, on)
    layer = Trained(*(Layer(nothing, bias, part) for part in (value, moment, moment)))
    _move(on, errors, layer, np.array([0.9, 0.0, 0.0, centre]), rate, lost, np.empty((2, units)))

    expected_first = 0.9 * first + np.triu((bits - centre).T @ errors, 1)
    step = rate * expected_first - lost * lateral
    np.testing.assert_allclose(moment, expected_first, rtol=0, atol=1e-12)
    np.testing.assert_allclose(value, lateral + step, rtol=0, atol=1e-12)
    np.testing.assert_allclose(bias[0], -centre * step.sum(0), rtol=0, atol=1e-11)


@njit(error_model="numpy")
def _ascend(matrix, gradient, constants):
    ascend(matrix, 0, 2, gradient, matrix, matrix, 0.1, rule_at(0, constants, 0))


def test_entries_with_gaps_between_them_are_refused() -> None:
    """Nothing is checked while it runs, so what would be read wrongly is not compiled."""
    gradient, constants = np.ones((2, 3)), np.zeros(4)
    _ascend(rows := np.zeros((2, 3)), gradient.copy(), constants)
    np.testing.assert_array_equal(rows, 0.1 * gradient)
    with pytest.raises(TypingError, match="rows whose entries follow one another"):
        _ascend(np.zeros((2, 3), order="F"), gradient, constants)
    with pytest.raises(TypingError, match="numbers of one type"):
        _ascend(np.zeros((2, 3), np.float32), gradient, constants)
