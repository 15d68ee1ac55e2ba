"""Annealed importance sampling of RBMs (Salakhutdinov & Murray 2008), compiled.

From a machine without weights, of visible bias b_0, to the whole one, f_b(x) = e^((1 - b) b_0.x + b b_1.x) prod_k
(1 + e^(b (c_k + x.W_k))). One product x W a rung serves both the log ratio and the hidden units of the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from nvil_repro.counters import counter_key
from nvil_repro.kernels.bernoulli import exp_minus_abs, sum_log1p, total
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.rbm_gibbs import desk, draw_row, enlist, load, squash, sum_rows, units, weights
from nvil_repro.models.rbm import Rbm
from nvil_repro.training.schedule import run_interleaved

BLOCK = 25  # chains that pass over the weights together, on one thread
SLICE = 100  # rungs before another block may have the thread


def ais_compiled(
    theta: Rbm,
    base_bias: Tensor,
    ladder: Sequence[float],
    chains: int,
    seed: int,
    threads: int,
    *,
    x: Tensor | None = None,
    name: str = "ais",
    watch: Callable[[int], None] | None = None,
) -> Tensor:
    """log w of every chain, float64 [R, C], for a `ladder` that rises from 0 to 1 or falls from 1 to 0.

    `base_bias` [R, D]. Chains begin at x [R or 1, C, D], samples of the ladder's first rung; without it the ladder
    rises, and they are drawn. The step at rung k reads `counter_uniforms(seed, name, 0, (rungs, C, H + D))[k]`, which
    replicas share; no number depends on `threads`. Rungs are rounded to the dtype of theta before anything else.
    `watch` hears of every rung that the first chains have done.
    Errors: `ValueError` without x for a ladder that does not begin at 0.
    """
    if x is None and ladder[0] != 0:
        raise ValueError(f"a ladder from {ladder[0]} needs chains to begin with: give x, or begin at 0")
    (replicas, visible, hidden), dtype = theta.weight.shape, theta.weight.dtype
    log_weights = torch.zeros(replicas, chains, dtype=torch.float64)
    key, rungs = counter_key(seed, name, 0), torch.tensor(ladder, dtype=torch.float64).to(dtype).numpy()
    blocks = []
    for r in range(replicas):
        machine = load(weights(visible, hidden, dtype), *(part[r].numpy() for part in theta))
        for first in range(0, chains, BLOCK):
            kept = log_weights[r, first : first + BLOCK].numpy()
            bits = units(len(kept), visible)
            if x is not None:
                bits.bits[:] = x[r if len(x) > 1 else 0, first : first + BLOCK].numpy()
                enlist(bits)
            room = bits, units(len(kept), hidden), desk(visible, hidden, dtype), np.empty(hidden, rungs.dtype)
            blocks.append((machine, base_bias[r].numpy(), rungs, key, first, chains, x is None, *room, kept))

    def run(block: int, begin: int, end: int) -> None:
        for rung in range(begin, end, SLICE):
            until = min(rung + SLICE, end)
            run_annealing(*blocks[block], rung, until)
            if watch and block == 0:
                for done in range(rung, until):
                    watch(done)

    run_interleaved(run, len(blocks), len(rungs), SLICE, threads)
    return log_weights


@entry
def run_annealing(w, base, rungs, key, first, chains, fresh, x, h, desk, tempered, log_weights, begin, end):
    """Rungs begin..end for the chains from `first` on, of so many; rung 0 draws them if they are `fresh`."""
    stride = w.down.shape[0] + w.up.shape[0]
    for k in range(begin, end):
        place = (k * chains + first) * stride
        for n in range(len(x.on) if k else 0):
            log_weights[n] += weigh(w, base, rungs[k - 1], rungs[k], x, n, desk, tempered)
            draw_row(desk.logits[0, : w.down.shape[0]], key, place + n * stride, h, n, desk)
        if k + 1 < len(rungs) and (k or fresh):
            draw_visible(w, base, rungs[k], h, x, key, place + w.down.shape[0], stride, desk)


@jit
def weigh(w, base, low, high, x, n, desk, tempered):
    """log f_high(x) - log f_low(x) of chain n; the logits on the desk become p(h = 1 | x) under f_high."""
    sum_rows(w.hidden_bias, w.up, x, n, desk.logits)
    bias = 0.0
    for i in range(x.on[n]):
        j = x.units[n, i]
        bias += w.visible_bias[j] - base[j]
    hidden = weigh_hidden(desk.logits[0, : w.down.shape[0]], low, high, tempered, desk.work)
    return (float(high) - float(low)) * bias + hidden


@jit
def weigh_hidden(a, low, high, tempered, work):
    """sum_k log(1 + e^(high a_k)) - log(1 + e^(low a_k)), small differences before they are summed; a becomes
    sigma(high a).
    """
    zero, one, width = a.dtype.type(0), a.dtype.type(1), a.shape[0]
    terms, before, after = work[0][:width], tempered[:width], work[1][:width]
    for k in range(width):
        terms[k] = low * a[k]
    exp_minus_abs(terms, before)
    for k in range(width):
        terms[k] = max(a[k], zero)
        a[k] *= high
    exp_minus_abs(a, after)
    for k in range(width):
        before[k] = (after[k] - before[k]) / (one + before[k])
        a[k] = (one if a[k] >= zero else after[k]) / (one + after[k])
    return (float(high) - float(low)) * total(terms) + sum_log1p(before)


@jit
def draw_visible(w, base, b, h, x, key, place, stride, desk):
    """x given h under f_b, for every chain."""
    visible = w.up.shape[0]
    p, rest = desk.logits[0, :visible], base.dtype.type(1) - b
    for n in range(len(x.on)):
        sum_rows(w.visible_bias, w.down, h, n, desk.logits)
        for j in range(visible):
            p[j] = b * p[j] + rest * base[j]
        squash(p, desk.work)
        draw_row(p, key, place + n * stride, x, n, desk)
