"""Products with bits, as sums of the weight rows of active units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.jit import inlined, jit
from nvil_repro.kernels.vectors import NARROW, ONE, WIDE, entries, filled, load, narrow, store, wide

TWO, THREE, FOUR = (np.uintp(n) for n in (2, 3, 4))


class Active(NamedTuple):
    """Where the bits [B, K] of a layer are on: the units of each case, and the cases of each unit."""

    units: np.ndarray  # [B, K + 1], of which the first units_on[b] count
    units_on: np.ndarray  # [B]
    cases: np.ndarray  # [K, B + 1], of which the first cases_on[k] count
    cases_on: np.ndarray  # [K]


def active(batch: int, units: int) -> Active:
    """Room for the lists of `batch` cases and `units` units; all are off."""
    return Active(
        np.empty((batch, units + 1), np.uint32),
        np.zeros(batch, np.int64),
        np.empty((units, batch + 1), np.uint32),
        np.zeros(units, np.int64),
    )


@jit
def activate(bits, on):
    """Fill the lists from bits [B, K]."""
    units, units_on, cases, cases_on = on
    for k in range(bits.shape[1]):
        cases_on[k] = 0
    for b in range(bits.shape[0]):
        n = 0
        for k in range(
            bits.shape[1]
        ):  # no branch, which would be guessed wrong: an inactive unit is overwritten
            units[b, n] = np.uint32(k)
            n += np.int64(bits[b, k])
        units_on[b] = n
        for i in range(n):
            k = units[b, i]
            cases[k, cases_on[k]] = b
            cases_on[k] += 1


@jit
def affine(on, centre, layer, out, work):
    """out[b] = bias + (bits[b] - centre) weight; an empty centre is zero."""
    weight, start = layer.weight, work[0]
    width = weight.shape[1]
    for j in range(width):
        start[j] = layer.bias[0, j]
    for k in range(len(centre)):
        for j in range(width):
            start[j] -= centre[k] * weight[k, j]
    sum_rows(out, work[0:1], weight, on.units, on.units_on, 0, width)


@jit
def add_lateral(on, layer, out):
    """out[b] += bits[b] lateral, of the layer's own bits."""
    sum_rows(out, out, layer.lateral, on.units, on.units_on, 0, out.shape[1])


@jit
def sum_rows(out, start, matrix, index, count, begin, end):
    """out[b] = start[b] + the rows of the matrix that index[b, :count[b]] names, in the columns begin..end; or
    start[0] where there is no other. A few columns at a time for all b, so they are in the cache when the next b asks.
    """
    j, end, zero = np.uintp(begin), np.uintp(end), matrix.dtype.type(0)
    given = entries(out), entries(start), np.uintp(len(start) > 1), entries(matrix), entries(index), count
    j = _sum_pieces(*given, j, end, WIDE, wide(zero))
    j = _sum_pieces(*given, j, end, NARROW, narrow(zero))
    _sum_pieces(*given, j, end, ONE, zero)


@inlined
def _sum_pieces(out, start, each, matrix, index, count, j, end, lanes, like):
    """From column j on as long as pieces fit; where it ended."""
    while j + lanes <= end:
        for b in range(np.uintp(len(count))):
            total = sum_of_rows(matrix, index, b, np.uintp(count[b]), j, like)
            store(out, b, j, load(start, each * b, j, like) + total)
        j += lanes
    return j


@inlined
def sum_of_rows(matrix, index, b, n, j, like):
    """The sum of the rows of the matrix that index[b, :n] names, from column j on, as many columns as `like` has."""
    i, total, none = np.uintp(0), filled(0, like), np.uint32(0)
    while i + FOUR <= n:
        k0, k1 = load(index, b, i, none), load(index, b, i + ONE, none)
        k2, k3 = load(index, b, i + TWO, none), load(index, b, i + THREE, none)
        total = total + (
            (load(matrix, k0, j, like) + load(matrix, k1, j, like))
            + (load(matrix, k2, j, like) + load(matrix, k3, j, like))
        )
        i += FOUR
    while i < n:
        total = total + load(matrix, load(index, b, i, none), j, like)
        i += ONE
    return total


@jit
def add_rows(out, b, matrix, index, n):
    """out[b] += the rows of the matrix that index[b, :n] names: for one b, where `sum_rows` is for many."""
    i = 0
    while i + 8 <= n:
        k0, k1, k2, k3 = index[b, i], index[b, i + 1], index[b, i + 2], index[b, i + 3]
        k4, k5, k6, k7 = index[b, i + 4], index[b, i + 5], index[b, i + 6], index[b, i + 7]
        for j in range(matrix.shape[1]):
            out[b, j] += ((matrix[k0, j] + matrix[k1, j]) + (matrix[k2, j] + matrix[k3, j])) + (
                (matrix[k4, j] + matrix[k5, j]) + (matrix[k6, j] + matrix[k7, j])
            )
        i += 8
    while i + 2 <= n:
        k0, k1 = index[b, i], index[b, i + 1]
        for j in range(matrix.shape[1]):
            out[b, j] += matrix[k0, j] + matrix[k1, j]
        i += 2
    if i < n:
        k0 = index[b, i]
        for j in range(matrix.shape[1]):
            out[b, j] += matrix[k0, j]
