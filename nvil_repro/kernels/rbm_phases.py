"""The two phases of an RBM's update, compiled: what cases, and the ends of chains, say of the machine.

Threads share out the parts of both: what belongs to a case or chain is computed by itself, so no number depends on who
does it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from nvil_repro.kernels.bernoulli import exp_minus_abs, sum_log1p, total
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.rbm_gibbs import Units, draw_row, enlist_row, half_step, padded, sum_rows, units

PARTS = 4  # of a minibatch, of the chains, of the rows of W


class Phases(NamedTuple):
    """The B cases of a minibatch, and after them the ends of C chains."""

    cases: Units  # x of the minibatch
    chains: Units  # x of the chains
    hidden: Units  # of the chains
    h: np.ndarray  # [B + C, H], padded: p(h = 1 | x), at the end times 1 / B, or -1 / C: sums are slopes
    log_p: np.ndarray  # [B + C], log p*(x) in nats
    rows: np.ndarray  # [D, B + C]: those of h in which a visible unit is on, of which the first rows_on count
    rows_on: np.ndarray  # [D]


def phases(cases: int, chains: int, visible: int, hidden: int, dtype: torch.dtype) -> Phases:
    """Room for so many of each."""
    both = cases + chains
    return Phases(
        units(cases, visible),
        units(chains, visible),
        units(chains, hidden),
        padded(both, hidden, dtype=dtype),
        np.empty(both),
        np.empty((visible, both), np.uint32),
        np.empty(visible, np.int64),
    )


@entry
def run_phases(x, phases, model, sampler, desks, key, steps, restart, first, last):
    """Both phases, by parts first..last: cases x [B, D] under `model`; chains after so many Gibbs steps under
    `sampler`, from x if they `restart`, else from where they were.
    """
    cases, chains = x.shape[0], len(phases.chains.on)
    for part in range(first, last):
        desk = desks[part]
        begin, end = share(part, cases)
        for b in range(begin, end):
            enlist_row(x[b], phases.cases, b)
            observe(phases.cases, b, model, phases.h, phases.log_p, b, desk.work)
        begin, end = share(part, chains)
        for step in range(steps):
            walk(phases, sampler, key, step, restart and step == 0, begin, end, desk)
        for n in range(begin, end):
            observe(phases.chains, n, model, phases.h, phases.log_p, cases + n, desk.work)
            scale(phases.h[cases + n], -1 / chains)
        begin, end = share(part, cases)
        for b in range(begin, end):
            scale(phases.h[b], 1 / cases)


@jit
def share(part, number):
    """Where part `part` of `number` begins and ends."""
    return number * part // PARTS, number * (part + 1) // PARTS


@jit
def walk(phases, w, key, step, restart, begin, end, desk):
    """One Gibbs step of the chains begin..end, from the cases of the same place if they restart."""
    x, h = phases.chains, phases.hidden
    hidden, visible = h.bits.shape[1], x.bits.shape[1]
    stride = hidden + visible
    place = step * len(x.on) * stride
    if restart:
        for n in range(begin, end):
            draw_row(phases.h[n, :hidden], key, place + n * stride, h, n, desk)
    else:
        half_step(w.hidden_bias, w.up, x, h, begin, end, key, place, stride, desk)
    half_step(w.visible_bias, w.down, h, x, begin, end, key, place + hidden, stride, desk)


@jit
def observe(x, n, w, h, log_p, row, work):
    """p(h = 1 | x) and log p*(x) of case n, into rows of h and log_p."""
    sum_rows(w.hidden_bias, w.up, x, n, h[row : row + 1])
    level = 0.0
    for i in range(x.on[n]):
        level += w.visible_bias[x.units[n, i]]
    log_p[row] = level + mean_row(h[row, : w.down.shape[0]], work)


@jit
def mean_row(logits, work):
    """logits become sigma(logits); returns sum_k log(1 + e^logits_k)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e, terms = work[1][: logits.shape[0]], work[0][: logits.shape[0]]
    exp_minus_abs(logits, e)
    for k in range(logits.shape[0]):
        a = logits[k]
        terms[k] = max(a, zero)
        logits[k] = (one if a >= zero else e[k]) / (one + e[k])
    return total(terms) + sum_log1p(e)


@jit
def scale(row, factor):
    """row *= factor."""
    f = row.dtype.type(factor)
    for k in range(row.shape[0]):
        row[k] *= f
