"""The visible layer of a document net: softmax over the vocabulary, a block of columns in the cache at a time."""

from __future__ import annotations

import math

import numpy as np

from nvil_repro.kernels.jit import jit
from nvil_repro.kernels.products import sum_rows
from nvil_repro.kernels.vectors import ONE, WIDE, entries, exp_of_negative, larger, load, store, wide

COLUMNS = 512  # words of a block


@jit
def decode(text, t, on, layer, errors, log_p):
    """errors[b] = n_b - N_b softmax(W h_b + bias) and log_p[b] = log P(n_b | h_b), of the minibatch t of the chunk.

    The exponentials of a block are those over its own largest logit, so they are taken while it is in the cache.
    """
    cases, words = errors.shape
    blocks = (words + COLUMNS - 1) // COLUMNS
    scores, sums, tops = np.zeros(cases), np.empty((cases, blocks)), np.empty((cases, blocks), errors.dtype)
    lanes, logits = np.empty((1, int(WIDE)), errors.dtype), entries(errors)
    for b in range(cases):
        text.at[b] = text.starts[text.cases[t, b]]
    for block in range(blocks):
        lo, hi = np.uintp(block * COLUMNS), np.uintp(min((block + 1) * COLUMNS, words))
        sum_rows(errors, layer.bias, layer.weight, on.units, on.units_on, lo, hi)
        for b in range(cases):
            scores[b] += _score(text, t, b, errors[b], hi)
            tops[b, block] = _largest(logits, lanes, b, lo, hi)
            sums[b, block] = _exponentials(logits, lanes, b, lo, hi, tops[b, block])
    for b in range(cases):
        log_p[b] = scores[b] - _subtract_expected(text, t, b, errors[b], tops[b], sums[b])


@jit
def _score(text, t, b, logits, hi):
    """sum_w n_w logit_w of document b over the words before `hi` that are still to be read."""
    score, i, end = 0.0, text.at[b], text.starts[text.cases[t, b] + 1]
    while i < end and text.words[i] < hi:
        score += text.counts[i] * float(logits[text.words[i]])
        i += 1
    text.at[b] = i
    return score


@jit
def _largest(logits, lanes, b, lo, hi):
    """The largest of logits[b, lo:hi]; `lanes` [1, WIDE] is room for a vector."""
    j, most = lo, load(logits, b, lo, lanes.dtype.type(0))
    several = wide(most)
    while j + WIDE <= hi:
        several = larger(load(logits, b, j, several), several)
        j += WIDE
    store(entries(lanes), 0, 0, several)
    for i in range(WIDE):
        most = larger(lanes[0, i], most)
    while j < hi:
        most = larger(load(logits, b, j, most), most)
        j += ONE
    return most


@jit
def _exponentials(logits, lanes, b, lo, hi, top):
    """logits[b, lo:hi] become exp(logits - top), `top` the largest of them; returns the sum, by way of `lanes`."""
    j, zero = lo, lanes.dtype.type(0)
    sums, last = wide(zero), 0.0
    while j + WIDE <= hi:
        e = exp_of_negative(load(logits, b, j, sums) - top)
        store(logits, b, j, e)
        sums = sums + e
        j += WIDE
    while j < hi:
        e = exp_of_negative(load(logits, b, j, zero) - top)
        store(logits, b, j, e)
        last += e
        j += ONE
    store(entries(lanes), 0, 0, sums)
    for i in range(WIDE):
        last += lanes[0, i]
    return last


@jit
def _subtract_expected(text, t, b, e, tops, sums):
    """The exponentials of all blocks become n - N softmax(logits); returns N times the log of their normaliser."""
    top, normaliser, length = tops[0], 0.0, text.lengths[b]
    for block in range(1, len(tops)):
        top = larger(top, tops[block])
    for block in range(len(tops)):
        normaliser += sums[block] * math.exp(tops[block] - top)
    for block in range(len(tops)):
        share = e.dtype.type(length * math.exp(tops[block] - top) / normaliser)
        part = e[block * COLUMNS : (block + 1) * COLUMNS]
        for j in range(len(part)):
            part[j] = -share * part[j]
    for i in range(text.starts[text.cases[t, b]], text.starts[text.cases[t, b] + 1]):
        e[text.words[i]] += e.dtype.type(text.counts[i])
    return length * (top + math.log(normaliser))
