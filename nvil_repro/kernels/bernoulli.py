"""Rows of Bernoulli units: sampled, scored and differentiated in one pass over their logits."""

from __future__ import annotations

import math

import numpy as np
from numba.extending import overload

from nvil_repro.kernels.jit import jit


@jit
def sample_row(logits, uniforms, bits, work):
    """bits ~ Bernoulli(sigma(logits)); logits become bits - sigma(logits); returns log Q(bits)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e, terms = work[1][: logits.shape[0]], work[0][: logits.shape[0]]
    exp_minus_abs(logits, e, work[2])
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
    exp_minus_abs(logits, e, work[2])
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


def exp_minus_abs(a, out, scale):
    """out_j = exp(-|a_j|): within 2 ulp of 1 + exp(-|a_j|) in float32, the library's exp in float64."""


_LOG2E = np.float32(1.4426950408889634)
_TAYLOR = tuple(np.float32(math.log(2) ** k / math.factorial(k)) for k in range(8))


@overload(exp_minus_abs)
def _overload_exp(a, out, scale):
    if a.dtype.bitwidth != 32:

        def double(a, out, scale):
            for j in range(a.shape[0]):
                out[j] = math.exp(-abs(a[j]))

        return double
    c0, c1, c2, c3, c4, c5, c6, c7 = _TAYLOR

    def single(a, out, scale):
        # 2^z = 2^n 2^f with n whole and |f| <= 1/2: the first from the exponent's bits, the second from its series.
        exponent = scale.view(np.int32)
        for j in range(a.shape[0]):
            z = max(-abs(a[j]) * _LOG2E, np.float32(-126))
            n = np.floor(z + np.float32(0.5))
            f = z - n
            exponent[j] = (np.int32(n) + np.int32(127)) << np.int32(23)
            out[j] = c0 + f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * (c6 + f * c7))))))
        for j in range(a.shape[0]):
            out[j] *= scale[j]

    return single
