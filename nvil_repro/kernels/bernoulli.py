"""Rows of Bernoulli units: sampled, scored and differentiated in one pass over their logits."""

from __future__ import annotations

import math

import numpy as np

from nvil_repro.kernels.jit import inlined, jit
from nvil_repro.kernels.vectors import (
    NARROW,
    ONE,
    WIDE,
    entries,
    exp_of_negative,
    larger,
    load,
    narrow,
    store,
    wide,
)


@jit
def sample_row(logits, uniforms, bits, work):
    """bits ~ Bernoulli(sigma(logits)); logits become bits - sigma(logits); returns log Q(bits)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e, terms = work[1][: logits.shape[0]], work[0][: logits.shape[0]]
    exp_minus_abs(logits, e)
    for j in range(logits.shape[0]):
        a = logits[j]
        s = (one if a >= zero else e[j]) / (one + e[j])
        bit = one if uniforms[j] < s else zero
        bits[j] = np.uint8(bit)
        terms[j] = bit * a - max(a, zero)
        logits[j] = bit - s
    return total(terms) - sum_log1p(e)


@jit
def error_row(logits, bits, work):
    """logits become bits - sigma(logits); returns log P(bits)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e, terms = work[1][: logits.shape[0]], work[0][: logits.shape[0]]
    exp_minus_abs(logits, e)
    for j in range(logits.shape[0]):
        a = logits[j]
        bit = one if bits[j] else zero
        s = (one if a >= zero else e[j]) / (one + e[j])
        terms[j] = bit * a - max(a, zero)
        logits[j] = bit - s
    return total(terms) - sum_log1p(e)


@jit
def sample_row_by_unit(logits, uniforms, bits, lateral, work):
    """`sample_row` where unit j also hears of the units before it, through rows of `lateral`."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    width = np.uintp(logits.shape[0])
    e, terms = work[1][:width], work[0][:width]
    for j in range(width):
        a = logits[j]
        e[j] = math.exp(-abs(a))
        s = (one if a >= zero else e[j]) / (one + e[j])
        bit = one if uniforms[j] < s else zero
        bits[j] = np.uint8(bit)
        terms[j] = bit * a - max(a, zero)
        logits[j] = bit - s
        if bit:
            for k in range(j + np.uintp(1), width):
                logits[k] += lateral[j, k]
    return total(terms) - sum_log1p(e)


@jit
def total(row):
    """The sum of a row, by halves; the row is spent."""
    n = row.shape[0]
    while n > 8:
        half = (n + 1) // 2
        left, right = row[:half], row[half:n]
        for j in range(right.shape[0]):
            left[j] += right[j]
        n = half
    result = 0.0
    for j in range(n):
        result += row[j]
    return result


@jit
def sum_log1p(e):
    """sum_j log(1 + e_j) for 0 <= e_j <= 1, one logarithm for up to 64 factors, multiplied by halves; e is spent."""
    one, n = e.dtype.type(1), e.shape[0]
    for j in range(n):
        e[j] += one
    for _ in range(6):  # a product of 2^6 factors, at most 2 each
        half = (n + 1) // 2
        left, right = e[:half], e[half:n]
        for j in range(right.shape[0]):
            left[j] *= right[j]
        n = half
    result = 0.0
    for j in range(n):
        result += math.log(e[j])
    return result


@jit
def exp_minus_abs(a, out):
    """out_j = exp(-|a_j|): within 2 ulp of 1 + exp(-|a_j|)."""
    given, width, zero = (entries(a), entries(out)), np.uintp(a.shape[0]), a.dtype.type(0)
    j = _exp_pieces(*given, np.uintp(0), width, WIDE, wide(zero))
    j = _exp_pieces(*given, j, width, NARROW, narrow(zero))
    _exp_pieces(*given, j, width, ONE, zero)


@inlined
def _exp_pieces(a, out, j, end, lanes, like):
    while j + lanes <= end:
        x = load(a, 0, j, like)
        store(out, 0, j, exp_of_negative(like - larger(x, like - x)))
        j += lanes
    return j
