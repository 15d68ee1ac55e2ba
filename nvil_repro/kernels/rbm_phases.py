"""The two phases of an RBM's update, compiled: what cases, and the ends of chains, say of the machine.

Everything takes s, a `rbm_replica.Replica`, and a range of parts, which threads share out: what belongs to a case or
chain is computed by itself, so no number depends on who does it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from nvil_repro.kernels.bernoulli import exp_minus_abs, sum_log1p, total
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.rbm_gibbs import Units, draw_row, enlist_row, half_step, padded, sum_rows, units

PARTS = 4  # of a minibatch, of the chains and of the rows of W


class Phase(NamedTuple):
    """N cases or chains and what belongs to them."""

    x: Units
    h: np.ndarray  # p(h = 1 | x) [N, H], padded with zeros
    log_p: np.ndarray  # log p*(x) [N], in nats
    cases: np.ndarray  # [D, N]: those in which a visible unit is on, of which the first cases_on count
    cases_on: np.ndarray  # [D]


def phase(number: int, visible: int, hidden: int, dtype: torch.dtype) -> Phase:
    """Room for `number` cases."""
    lists = np.empty((visible, number), np.uint32), np.empty(visible, np.int64)
    return Phase(units(number, visible), padded(number, hidden, dtype=dtype), np.empty(number), *lists)


@entry
def run_phases(x, s, key, steps, restart, first, last):
    """Both phases: cases x [B, D], and chains after so many Gibbs steps, from x if they `restart`, else from where
    they were.
    """
    for part in range(first, last):
        desk = s.desks[part]
        begin, end = share(part, x.shape[0])
        for b in range(begin, end):
            enlist_row(x[b], s.positive.x, b)
            observe(s.positive, b, s.model, desk)
        begin, end = share(part, len(s.negative.log_p))
        for step in range(steps):
            walk(s, key, step, restart and step == 0, begin, end, desk)
        for n in range(begin, end):
            observe(s.negative, n, s.model, desk)


@jit
def share(part, number):
    """Where part `part` of `number` begins and ends."""
    return number * part // PARTS, number * (part + 1) // PARTS


@jit
def walk(s, key, step, restart, begin, end, desk):
    """One Gibbs step of the chains begin..end, from the cases of the positive phase if they restart."""
    h, x, w = s.hidden, s.negative.x, s.sampler
    hidden, visible = h.bits.shape[1], x.bits.shape[1]
    stride = hidden + visible
    place = step * x.bits.shape[0] * stride
    if restart:
        for n in range(begin, end):
            draw_row(s.positive.h[n, :hidden], key, place + n * stride, h, n, desk)
    else:
        half_step(w.hidden_bias, w.up, x, h, begin, end, key, place, stride, desk)
    half_step(w.visible_bias, w.down, h, x, begin, end, key, place + hidden, stride, desk)


@jit
def observe(phase, n, w, desk):
    """p(h = 1 | x) and log p*(x) of case n, from its list."""
    sum_rows(w.hidden_bias, w.up, phase.x, n, phase.h[n : n + 1])
    log_p = 0.0
    for i in range(phase.x.on[n]):
        log_p += w.visible_bias[phase.x.units[n, i]]
    phase.log_p[n] = log_p + mean_row(phase.h[n, : w.down.shape[0]], desk.work)


@jit
def mean_row(logits, work):
    """logits become sigma(logits); returns sum_k log(1 + e^logits_k)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e, terms = work[1][: logits.shape[0]], work[0][: logits.shape[0]]
    exp_minus_abs(logits, e, work[2])
    for k in range(logits.shape[0]):
        a = logits[k]
        terms[k] = max(a, zero)
        logits[k] = (one if a >= zero else e[k]) / (one + e[k])
    return total(terms) + sum_log1p(e)
