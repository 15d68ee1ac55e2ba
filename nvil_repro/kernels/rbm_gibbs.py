"""Gibbs steps of one RBM, compiled: bits above bits, each half a step a sum of the weight rows of active units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from nvil_repro.kernels.bernoulli import exp_minus_abs
from nvil_repro.kernels.counters import fill_uniforms, words
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.products import add_rows

LINE = 16  # rows are padded to whole cache lines, without which adding them is up to a half slower


class Weights(NamedTuple):
    """The machine as chains read it: W by rows both ways."""

    up: np.ndarray  # W [D, H], padded with zeros
    down: np.ndarray  # its transpose [H, D], padded
    visible_bias: np.ndarray  # [D], padded
    hidden_bias: np.ndarray  # [H], padded


class Units(NamedTuple):
    """Bits of N cases or chains, and where they are on."""

    bits: np.ndarray  # uint8 [N, K]
    units: np.ndarray  # [N, K + 1], of which the first on[n] count
    on: np.ndarray  # [N]


class Desk(NamedTuple):
    """Room for one case at a time."""

    logits: np.ndarray  # [1, widest]
    uniforms: np.ndarray  # [widest]
    words: np.ndarray
    work: np.ndarray  # [2, widest]: terms, exponentials


def padded(*shape: int, dtype: torch.dtype) -> np.ndarray:
    """Zeros [..., at least the last of `shape`], every row beginning a cache line."""
    *rows, width = shape
    return torch.zeros(*rows, -(-width // LINE) * LINE, dtype=dtype).numpy()


def weights(visible: int, hidden: int, dtype: torch.dtype) -> Weights:
    """Room for a machine."""
    up, down = padded(visible, hidden, dtype=dtype), padded(hidden, visible, dtype=dtype)
    return Weights(up, down, padded(visible, dtype=dtype), padded(hidden, dtype=dtype))


def load(room: Weights, weight: np.ndarray, visible_bias: np.ndarray, hidden_bias: np.ndarray) -> Weights:
    """The machine W [D, H], b [D], c [H] in this room."""
    visible, hidden = weight.shape
    room.up[:, :hidden], room.down[:, :visible] = weight, weight.T
    room.visible_bias[:visible], room.hidden_bias[:hidden] = visible_bias, hidden_bias
    return room


def units(number: int, width: int) -> Units:
    """Room for `number` cases of `width` units, all of them off."""
    return Units(
        np.zeros((number, width), np.uint8),
        np.empty((number, width + 1), np.uint32),
        np.zeros(number, np.int64),
    )


def desk(visible: int, hidden: int, dtype: torch.dtype) -> Desk:
    """A desk for a machine of these sizes."""
    logits, widest = padded(1, max(visible, hidden), dtype=dtype), max(visible, hidden)
    return Desk(logits, np.empty_like(logits[0]), words(widest), np.empty((2, widest), logits.dtype))


@entry
def enlist(units):
    """Fill the lists from the bits."""
    for n in range(len(units.on)):
        enlist_row(units.bits[n], units, n)


@jit
def enlist_row(bits, units, n):
    """List where these bits [K] are on, as case n's."""
    row, count = units.units[n], 0
    for k in range(bits.shape[0]):  # no branch, which would be guessed wrong: an inactive unit is overwritten
        row[count] = np.uint32(k)
        count += np.int64(bits[k])
    units.on[n] = count


@jit
def sum_rows(bias, matrix, given, n, out):
    """out [1, >= K] = bias [K] + the matrix rows of the units that are on in case n."""
    for j in range(bias.shape[0]):
        out[0, j] = bias[j]
    add_rows(out, 0, matrix, given.units[n : n + 1], given.on[n])


@jit
def draw_row(p, key, position, drawn, n, desk):
    """Case n's bits, on with probabilities p [K], by the uniforms from `position` on."""
    u, bits = desk.uniforms[: p.shape[0]], drawn.bits[n]
    fill_uniforms(key, position, u, desk.words)
    for j in range(p.shape[0]):
        bits[j] = np.uint8(u[j] < p[j])
    enlist_row(bits, drawn, n)


@jit
def half_step(bias, matrix, given, drawn, begin, end, key, position, stride, desk):
    """Draw one layer given the other for the chains begin..end; chain n's uniforms begin at position + n stride."""
    p = desk.logits[0, : drawn.bits.shape[1]]
    for n in range(begin, end):
        sum_rows(bias, matrix, given, n, desk.logits)
        squash(p, desk.work)
        draw_row(p, key, position + n * stride, drawn, n, desk)


@jit
def squash(a, work):
    """a becomes sigma(a)."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    e = work[1][: a.shape[0]]
    exp_minus_abs(a, e)
    for j in range(a.shape[0]):
        a[j] = (one if a[j] >= zero else e[j]) / (one + e[j])
