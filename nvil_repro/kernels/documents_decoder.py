"""The visible layer of a document net: softmax over the vocabulary, a block of columns in the cache at a time."""

from __future__ import annotations

import math

import numpy as np

from nvil_repro.kernels.ascent import ascend, uncentred
from nvil_repro.kernels.bernoulli import exp_minus_abs, total
from nvil_repro.kernels.jit import jit

COLUMNS = 1024  # words of a block


@jit
def decode(text, t, on, layer, errors, log_p, work):
    """errors[b] = n_b - N_b softmax(W h_b + bias) and log_p[b] = log P(n_b | h_b), of the minibatch t of the chunk."""
    top = np.empty(errors.shape[0], errors.dtype)
    for block in range(0, errors.shape[1], COLUMNS):
        lo, hi = np.uintp(block), np.uintp(min(block + COLUMNS, errors.shape[1]))
        for b in range(errors.shape[0]):
            for j in range(lo, hi):
                errors[b, j] = layer.bias[0, j]
            _add_rows(errors, b, layer.weight, lo, hi, on.units[b], on.units_on[b])
            highest = _largest(errors[b, lo:hi], work[0])
            top[b] = _larger(top[b], highest) if block else highest
    for b in range(errors.shape[0]):
        begin, end = text.starts[text.cases[t, b]], text.starts[text.cases[t, b] + 1]
        words, counts = text.words[begin:end], text.counts[begin:end]
        log_p[b] = _softmax_row(words, counts, text.lengths[b], errors[b], top[b], work)


@jit
def _add_rows(out, row, matrix, lo, hi, index, n):
    """out[row] += the rows of the matrix that index[:n] names, in the columns lo..hi; eight rows at a time."""
    i = 0
    while i + 8 <= n:
        k0, k1, k2, k3 = index[i], index[i + 1], index[i + 2], index[i + 3]
        k4, k5, k6, k7 = index[i + 4], index[i + 5], index[i + 6], index[i + 7]
        for j in range(lo, hi):
            out[row, j] += ((matrix[k0, j] + matrix[k1, j]) + (matrix[k2, j] + matrix[k3, j])) + (
                (matrix[k4, j] + matrix[k5, j]) + (matrix[k6, j] + matrix[k7, j])
            )
        i += 8
    while i + 2 <= n:
        k0, k1 = index[i], index[i + 1]
        for j in range(lo, hi):
            out[row, j] += matrix[k0, j] + matrix[k1, j]
        i += 2
    if i < n:
        k0 = index[i]
        for j in range(lo, hi):
            out[row, j] += matrix[k0, j]


@jit
def _softmax_row(words, counts, length, logits, top, work):
    """logits, the largest of which is `top`, become counts - length softmax(logits); returns log P of the counts."""
    score, normaliser = 0.0, 0.0
    for i in range(len(words)):
        score += counts[i] * float(logits[words[i]] - top)
    for lo in range(0, len(logits), COLUMNS):
        part = logits[lo : lo + COLUMNS]
        e = work[1][: len(part)]
        for j in range(len(part)):
            part[j] -= top
        exp_minus_abs(part, e, work[2])
        for j in range(len(part)):
            part[j] = e[j]
        normaliser += total(e)
    share = logits.dtype.type(length / normaliser)
    for j in range(len(logits)):
        logits[j] = -share * logits[j]
    for i in range(len(words)):
        logits[words[i]] += logits.dtype.type(counts[i])
    return score - length * math.log(normaliser)


@jit
def _largest(row, work):
    """The maximum of a row, by halves; NaN if any entry is."""
    n = len(row)
    for j in range(n):
        work[j] = row[j]
    while n > 1:
        half = (n + 1) // 2
        left, right = work[:half], work[half:n]
        for j in range(len(right)):
            left[j] = _larger(left[j], right[j])
        n = half
    return work[0]


@jit
def _larger(a, b):
    """The maximum of two numbers, NaN if either is."""
    return (a if a > b else b) + (a - a)


@jit
def ascend_decoder(on, errors, layer, rate, keep, rule, work):
    """Ascend weight by (h - the rule's centre)^T errors and bias by the sum of errors, which makes up for the centre.

    Every update keeps a share of the weights (1: no weight decay).
    """
    v, f, s, one = layer.value, layer.first, layer.second, errors.dtype.type(1)
    sums, gradient, moved = 0, 1, 2  # rows of work
    for block in range(0, errors.shape[1], COLUMNS):
        lo, hi = np.uintp(block), np.uintp(min(block + COLUMNS, errors.shape[1]))
        shape = (1, min(COLUMNS, errors.shape[1] - block))
        steps, lost = work[gradient, lo:hi].reshape(shape), work[moved, lo:hi].reshape(shape)
        for j in range(lo, hi):
            work[sums, j], work[moved, j] = 0, 0
        for b in range(errors.shape[0]):
            for j in range(lo, hi):
                work[sums, j] += errors[b, j]
        for k in range(v.weight.shape[0]):
            for j in range(lo, hi):
                work[gradient, j] = -rule.centre * work[sums, j]
            _add_rows(work, gradient, errors, lo, hi, on.cases[k], on.cases_on[k])
            if keep != one:
                for j in range(lo, hi):
                    work[moved, j] -= (one - keep) * v.weight[k, j]
                    v.weight[k, j] *= keep
            value, first, second = v.weight[k, lo:hi], f.weight[k, lo:hi], s.weight[k, lo:hi]
            rows = value.reshape(shape), first.reshape(shape), second.reshape(shape)
            ascend(rows[0], 0, 1, steps, rows[1], rows[2], lost, rate, rule)
        value, first, second = v.bias[0, lo:hi], f.bias[0, lo:hi], s.bias[0, lo:hi]
        rows = value.reshape(shape), first.reshape(shape), second.reshape(shape)
        ascend(rows[0], 0, 1, work[sums, lo:hi].reshape(shape), rows[1], rows[2], lost, rate, uncentred(rule))
        for j in range(lo, hi):
            v.bias[0, j] -= rule.centre * work[moved, j]
