"""Vectors of several lanes give what numbers alone give, bit for bit, and touch nothing beside."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from numba import njit

from nvil_repro.kernels.bernoulli import exp_minus_abs
from nvil_repro.kernels.products import sum_rows
from nvil_repro.kernels.vectors import (
    NARROW,
    WIDE,
    entries,
    exp_of_negative,
    filled,
    larger,
    load,
    narrow,
    square_root,
    store,
    wide,
)

TYPES = (np.float32, np.float64)


@njit(error_model="numpy")
def formula(a, b, number):
    """Every operation there is; of vectors and of numbers alike."""
    c = (a + b) * number - number / (b - filled(number, a)) + square_root(larger(a, b - b))
    return larger(c, a - number) + exp_of_negative((b - b) - larger(a, (b - b) - a))


@njit(error_model="numpy")
def by_lanes(a, b, out, number, like, lanes):
    """The formula of each row of a and b [n, m], columns 1..1 + whole pieces."""
    x, y, z = entries(a), entries(b), entries(out)
    for n in range(a.shape[0]):
        j = np.uintp(1)
        while j + lanes <= np.uintp(a.shape[1] - 1):
            store(z, n, j, formula(load(x, n, j, like), load(y, n, j, like), number))
            j += lanes


@njit(error_model="numpy")
def by_wide(a, b, out, number):
    by_lanes(a, b, out, number, wide(number - number), WIDE)


@njit(error_model="numpy")
def by_narrow(a, b, out, number):
    by_lanes(a, b, out, number, narrow(number - number), NARROW)


@njit(error_model="numpy")
def by_number(a, b, out, number):
    by_lanes(a, b, out, number, number - number, np.uintp(1))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("way", [by_wide, by_narrow], ids=["wide", "narrow"])
def test_lanes_are_numbers(way, dtype) -> None:
    """In rows that begin anywhere, NaN and infinity included; and the ends of rows are left alone."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(scale=30, size=(5, 3 + 2 * int(WIDE))).astype(dtype)[:, 1:] for _ in range(2))
    a[2, 5], b[3, 7], a[4, 9] = np.nan, np.nan, np.inf
    number = dtype(0.37)
    out, expected = np.full(a.shape, 7, dtype), np.full(a.shape, 7, dtype)
    way(a, b, out, number)
    by_number(a, b, expected, number)
    np.testing.assert_array_equal(out, expected)
    assert (out[:, [0, -1]] == 7).all()
    assert (out[:, 1:-1] != 7).all()
    assert np.isnan(out[[2, 3], [5, 7]]).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_are_right(dtype) -> None:
    """Against numpy; a formula a little different is noticed."""
    rng = np.random.default_rng(1)
    a, b = (rng.normal(scale=3, size=(3, 70)).astype(dtype) for _ in range(2))
    inside = slice(1, 1 + 2 * int(WIDE))
    out, number = np.zeros(a.shape, dtype), dtype(0.37)
    by_wide(a, b, out, number)
    x, y = (part[:, inside].astype(float) for part in (a, b))

    def expected(n: float) -> np.ndarray:
        c = (x + y) * n - n / (y - n) + np.sqrt(np.maximum(x, 0))
        return np.maximum(c, x - n) + np.exp(-np.abs(x))

    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(out[:, inside], expected(float(number)), rtol=tolerance, atol=tolerance)
    assert not np.allclose(out[:, inside], expected(0.3701), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [1, 5, 8, 31, 32, 75])
def test_sums_of_rows(width: int, dtype) -> None:
    """Rows by fours and what is left over, from one start for all or from one each, in some columns only."""
    rng = np.random.default_rng(2)
    matrix, bits = rng.normal(size=(11, width)).astype(dtype), rng.integers(0, 2, (6, 11))
    bits[0], bits[1] = 0, 1
    index, count = np.full((6, 12), 10, np.uint32), bits.sum(1)
    for b, row in enumerate(bits):
        index[b, : count[b]] = np.flatnonzero(row)
    begin, end = (width > 5) * 3, width
    for start in (rng.normal(size=(1, width)).astype(dtype), rng.normal(size=(6, width)).astype(dtype)):
        out = np.full((6, width), 7, dtype)
        _sum(out, start, matrix, index, count, begin, end)
        expected = np.full((6, width), 7, dtype)
        expected[:, begin:] = (start + bits @ matrix.astype(float))[:, begin:]
        np.testing.assert_allclose(out, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@njit(error_model="numpy")
def _sum(out, start, matrix, index, count, begin, end):
    sum_rows(out, start, matrix, index, count, begin, end)


@njit(error_model="numpy")
def _exp_minus_abs(a, out):
    exp_minus_abs(a, out)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("magnitude", [0.0, 1e-7, 0.3, 5.0, 40.0, 87.0, 200.0, 1e30])
def test_exponential(magnitude: float, dtype) -> None:
    """exp(-|a|), added to one, is within two units in the last place; alone, as exact as its exponent is."""
    a = (np.linspace(-1, 1, 1001) * magnitude).astype(dtype)
    out = np.empty_like(a)
    _exp_minus_abs(a, out)
    exact = np.exp(-np.abs(a.astype(np.longdouble)))
    eps = np.finfo(dtype).eps
    assert np.abs((1 + out) - (1 + exact)).max() <= 2 * eps
    normal = exact > 2 * np.finfo(dtype).tiny
    assert (np.abs(out - exact) <= (2 + np.abs(a)) * eps * exact)[normal].all()
