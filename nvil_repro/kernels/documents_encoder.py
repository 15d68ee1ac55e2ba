"""Layers that read word counts, at the cost of the words that occur; every update is still the dense one, exactly.

With counts n, their training mean c and errors e of the units, weights W [V, out] and their momentum v move by
G = sum_b (n_b - c) e_b^T, a step for every word of the vocabulary. Kept are a [out], f [out], U and F such that

    W = U - c a^T,    v = F - c f^T.

Under momentum the rows of U and F whose words do not occur drift in a way known beforehand, which is made up for when
the word comes, and under SGD they stay; c^T U, which the logits (n - c)^T W ask for, is kept up to date. Adam's steps
are not linear in the gradient: it moves every row at every update.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.ascent import ADAM, MOMENTUM, ascend
from nvil_repro.kernels.jit import jit

BLOCK = 32  # rows of a gradient formed at once


class Text(NamedTuple):
    """The documents, as in `data.counts.Counts`, and the minibatches of a chunk."""

    starts: np.ndarray  # [N + 1]
    words: np.ndarray  # [nonzeros]
    counts: np.ndarray  # [nonzeros]
    cases: np.ndarray  # [T, B]: numbers of documents
    overlap: np.ndarray  # [B]: c^T n_b, of the present minibatch
    lengths: np.ndarray  # [B]
    at: np.ndarray  # [B]: how far each document has been read


class Rows(NamedTuple):
    """What of a layer's weights is not in its rows during a chunk."""

    words: np.ndarray  # int32 [V]: 0..V-1
    had: np.ndarray  # int64 [V]: updates that have been brought to this row
    shared: np.ndarray  # [4, out]: a, f, c^T U, c^T F
    idle: np.ndarray  # [2, T + 1]: k updates make of U U + idle[0, k] F, and of F idle[1, k] F
    norm: np.ndarray  # [1]: c^T c


def rows(vocabulary: int, out: int, updates: int, dtype: np.typing.DTypeLike) -> Rows:
    """Room for chunks of `updates`."""
    shared, idle, norm = (np.empty(shape, dtype) for shape in ((4, out), (2, updates + 1), 1))
    return Rows(np.arange(vocabulary, dtype=np.int32), np.empty(vocabulary, np.int64), shared, idle, norm)


@jit
def open_rows(rows, centre, layer, rate, how):
    """Begin a chunk: U = W, F = v."""
    u, f, one = layer.value.weight, layer.first.weight, centre.dtype.type(1)
    moving = how.kind == MOMENTUM
    fade = how.constants[0] if moving else one - one
    rows.idle[0, 0], rows.idle[1, 0] = one - one, one
    for k in range(1, rows.idle.shape[1]):
        rows.idle[1, k] = fade * rows.idle[1, k - 1]
        rows.idle[0, k] = rows.idle[0, k - 1] + rate * rows.idle[1, k]
    rows.norm[0] = 0
    for j in range(u.shape[1]):
        for part in range(4):
            rows.shared[part, j] = 0
    for w in range(u.shape[0]):
        rows.had[w] = 0
        rows.norm[0] += centre[w] * centre[w]
        for j in range(u.shape[1]):
            rows.shared[2, j] += centre[w] * u[w, j]
        if moving:
            for j in range(u.shape[1]):
                rows.shared[3, j] += centre[w] * f[w, j]


@jit
def close_rows(rows, centre, layer, how):
    """End a chunk: W and v are whole again."""
    u, f, moving = layer.value.weight, layer.first.weight, how.kind == MOMENTUM
    if how.kind == ADAM:
        return
    if moving:
        _catch_up(rows, rows.words, u, f, rows.idle.shape[1] - 1)
    for w in range(u.shape[0]):
        for j in range(u.shape[1]):
            u[w, j] -= centre[w] * rows.shared[0, j]
        if moving:
            for j in range(u.shape[1]):
                f[w, j] -= centre[w] * rows.shared[1, j]


@jit
def meet(text, t, centre):
    """What all layers ask of the minibatch t."""
    for b in range(text.cases.shape[1]):
        overlap, length = centre.dtype.type(0), 0
        for i in range(text.starts[text.cases[t, b]], text.starts[text.cases[t, b] + 1]):
            overlap += centre[text.words[i]] * centre.dtype.type(text.counts[i])
            length += text.counts[i]
        text.overlap[b], text.lengths[b] = overlap, length


@jit
def encode(text, t, rows, layer, out, kind):
    """out[b] = bias + (n_b - c)^T W, of the minibatch t of the chunk."""
    u, f, bias = layer.value.weight, layer.first.weight, layer.value.bias[0]
    for b in range(out.shape[0]):
        begin, end = text.starts[text.cases[t, b]], text.starts[text.cases[t, b] + 1]
        words, counts = text.words[begin:end], text.counts[begin:end]
        if kind == MOMENTUM:
            _catch_up(rows, words, u, f, t)
        tilt = rows.norm[0] - text.overlap[b]
        for j in range(out.shape[1]):
            out[b, j] = bias[j] - rows.shared[2, j] + tilt * rows.shared[0, j]
        for i in range(len(words)):
            w, n = np.uintp(words[i]), out.dtype.type(counts[i])
            for j in range(out.shape[1]):
                out[b, j] += n * u[w, j]


@jit
def ascend_words(text, t, rows, centre, layer, errors, rate, rule):
    """Ascend weight by sum_b (n_b - c) errors_b and bias by the sum of errors, for the minibatch t of the chunk."""
    total = np.zeros((1, errors.shape[1]), errors.dtype)
    for b in range(errors.shape[0]):
        for j in range(errors.shape[1]):
            total[0, j] += errors[b, j]
    if rule.kind == ADAM:
        _ascend_all(text, t, rows, centre, layer, errors, total, rate, rule)
    else:
        _ascend_rows(text, t, rows, layer, errors, total, rate, rule.kind == MOMENTUM)
    v, f, s = layer.value.bias, layer.first.bias, layer.second.bias
    ascend(v, 0, 1, total, f, s, rate, rule)


@jit
def _ascend_rows(text, t, rows, layer, errors, total, rate, moving):
    """An update as if no word occurred, and what the words add to it."""
    u, f, shared = layer.value.weight, layer.first.weight, rows.shared
    gain, fade = rows.idle[0, 1], rows.idle[1, 1]
    for part in (0, 2):
        for j in range(errors.shape[1]):
            shared[part, j] += gain * shared[part + 1, j]
            shared[part + 1, j] = fade * shared[part + 1, j]
    for j in range(errors.shape[1]):
        shared[0, j] += rate * total[0, j]
        shared[1, j] += total[0, j]
    for b in range(errors.shape[0]):
        for j in range(errors.shape[1]):
            shared[2, j] += rate * text.overlap[b] * errors[b, j]
            shared[3, j] += text.overlap[b] * errors[b, j]
        begin, end = text.starts[text.cases[t, b]], text.starts[text.cases[t, b] + 1]
        words, counts = text.words[begin:end], text.counts[begin:end]
        if moving:
            _catch_up(rows, words, u, f, t + 1)
        for i in range(len(words)):
            w, n = np.uintp(words[i]), errors.dtype.type(counts[i])
            for j in range(errors.shape[1]):
                u[w, j] += rate * n * errors[b, j]
            if moving:
                for j in range(errors.shape[1]):
                    f[w, j] += n * errors[b, j]


@jit
def _catch_up(rows, words, u, f, updates):
    """Bring the rows of these words to where they stand after so many updates of the chunk."""
    for i in range(len(words)):
        w = np.uintp(words[i])
        missed = updates - rows.had[w]
        rows.had[w] = updates
        if missed:
            gain, fade = rows.idle[0, missed], rows.idle[1, missed]
            for j in range(u.shape[1]):
                u[w, j] += gain * f[w, j]
                f[w, j] = fade * f[w, j]


@jit
def _ascend_all(text, t, rows, centre, layer, errors, total, rate, rule):
    """Every row, a block at a time; the words of a document rise, so each is read once. Renews c^T U."""
    v, f, s = layer.value.weight, layer.first.weight, layer.second.weight
    vocabulary, out = v.shape
    gradient = np.empty((BLOCK, out), v.dtype)
    for b in range(errors.shape[0]):
        text.at[b] = text.starts[text.cases[t, b]]
    for j in range(out):
        rows.shared[2, j] = 0
    for lo in range(0, vocabulary, BLOCK):
        hi = min(lo + BLOCK, vocabulary)
        for row in range(hi - lo):
            for j in range(out):
                gradient[row, j] = -centre[lo + row] * total[0, j]
        for b in range(errors.shape[0]):
            i, end = text.at[b], text.starts[text.cases[t, b] + 1]
            while i < end and text.words[i] < hi:
                row, n = np.uintp(text.words[i] - lo), v.dtype.type(text.counts[i])
                for j in range(out):
                    gradient[row, j] += n * errors[b, j]
                i += 1
            text.at[b] = i
        size = (1, (hi - lo) * out)
        block = v[lo:hi].reshape(size)
        steps, first, second = (
            gradient[: hi - lo].reshape(size),
            f[lo:hi].reshape(size),
            s[lo:hi].reshape(size),
        )
        ascend(block, 0, 1, steps, first, second, rate, rule)
        for w in range(lo, hi):
            for j in range(out):
                rows.shared[2, j] += centre[w] * v[w, j]
