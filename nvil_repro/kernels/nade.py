"""NADE, compiled: likelihood, exact gradient and ascent of a minibatch, unit after unit.

The hidden units of a case change only where one of its bits is on, so there are as many states of them as active
bits, not D; each is computed once and kept for the way back. A row of W or V moves as soon as the way back has passed
its unit, so that no gradient matrix is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.kernels.ascent import KINDS, ascend, rule_at
from nvil_repro.kernels.bernoulli import error_row, exp_minus_abs, total
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.models.nade import Nade
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.schedule import run_interleaved

SLICE = 2  # updates a replica runs before another may have its thread


class Parameters(NamedTuple):
    """Of one replica, or moments of their shape; see `models.nade.Nade`."""

    weight: np.ndarray  # W [D, H]
    hidden_bias: np.ndarray  # c [1, H]
    output: np.ndarray  # V [D, H]
    bias: np.ndarray  # b [1, D]


class Scratch(NamedTuple):
    """Room for one minibatch of one replica."""

    states: np.ndarray  # [1 + active bits, H]: sigma(c), then one for every active bit
    before: np.ndarray  # [1 + active bits]: the state that the case had before
    now: np.ndarray  # [B]: the state of each case
    inputs: np.ndarray  # [B, H]: to its hidden units
    errors: np.ndarray  # [D, B]: x_d - p(x_d = 1 | x_<d)
    slope: np.ndarray  # [B, H]: d log p / d h, of the units that see the present state
    tail: np.ndarray  # [B, H]: d log p / d inputs, of those that see a later one
    gradient: np.ndarray  # [1, H]
    work: np.ndarray  # [2, widest]: terms and sums, exponentials


def scratch(net: Parameters, batch: int, active: int) -> Scratch:
    """Room for minibatches of `batch` cases with at most `active` active bits in all."""
    (visible, hidden), dtype = net.weight.shape, net.weight.dtype
    return Scratch(
        np.empty((1 + active, hidden), dtype),
        np.empty(1 + active, np.int64),
        np.empty(batch, np.int64),
        np.empty((batch, hidden), dtype),
        np.empty((visible, batch), dtype),
        np.empty((batch, hidden), dtype),
        np.empty((batch, hidden), dtype),
        np.empty((1, hidden), dtype),
        np.empty((2, max(hidden, batch, visible)), dtype),
    )


def advance_compiled(
    net: Nade,
    moments: Sequence[Nade],
    x: Sequence[Tensor],
    rates: Tensor,
    optimiser: Optimiser,
    first_update: int,
    threads: int,
) -> Tensor:
    """T updates of every replica in place; the mean log-likelihood of each minibatch [T, R], in nats.

    `x` holds each replica's minibatches, bits uint8 [T, B, D]; rates [T] multiply sums over a minibatch; `threads`
    share out the replicas and change no number.
    """
    replicas, updates, like = len(x), len(rates), net.bias.numpy().dtype
    constants = np.array((*optimiser.constants[:3], 0), like)  # its hidden units are no bits
    how = rates.numpy().astype(like), KINDS[optimiser.name], constants
    objective = torch.empty(replicas, updates, dtype=torch.float64)
    arguments = []
    for r, cases in enumerate(x):
        kept = [_replica(part, r) for part in (net, *moments, net, net)]
        trained = kept[:3]  # what the optimiser does not keep is never read
        room = scratch(trained[0], cases.shape[1], int(cases.sum((1, 2)).max()))
        arguments.append((cases.transpose(1, 2).contiguous().numpy(), *trained, *how, room))

    def run(r: int, begin: int, end: int) -> None:
        run_nade(*arguments[r], objective[r].numpy(), begin, end, first_update)

    run_interleaved(run, replicas, updates, SLICE, threads)
    return objective.T


def _replica(net: Nade, r: int) -> Parameters:
    """Replica r, its arrays writable views."""
    weight, hidden_bias, output, bias = (part[r].numpy() for part in net)
    return Parameters(weight, hidden_bias[None], output, bias[None])


@entry
def run_nade(x, net, first, second, rates, kind, constants, s, objective, begin, end, past):
    """Updates begin..end of a chunk x [T, D, B] in place; objective[t] = mean log-likelihood in nats before each."""
    for t in range(begin, end):
        rule = rule_at(kind, constants, past + t)
        objective[t] = forward(x[t], net, s) / x.shape[2]
        backward(x[t], net, first, second, rates[t], rule, s)


@jit
def forward(bits, net, s):
    """States, errors and the summed log-likelihood of a minibatch [D, B]."""
    visible, batch = bits.shape
    sigmoid(net.hidden_bias[0], s.states[0], s.work)
    for b in range(batch):
        s.now[b] = 0
        for j in range(s.inputs.shape[1]):
            s.inputs[b, j] = net.hidden_bias[0, j]
    n, log_likelihood = 0, 0.0
    for d in range(visible):
        dark = net.bias[0, d] + dot(net.output[d], s.states[0], s.work[0])  # before a case's first active bit
        for b in range(batch):
            s.errors[d, b] = dark
            if s.now[b]:
                s.errors[d, b] = net.bias[0, d] + dot(net.output[d], s.states[s.now[b]], s.work[0])
        log_likelihood += error_row(s.errors[d], bits[d], s.work)
        for b in range(batch):
            if bits[d, b]:
                n += 1
                s.before[n], s.now[b] = s.now[b], n
                for j in range(s.inputs.shape[1]):
                    s.inputs[b, j] += net.weight[d, j]
                sigmoid(s.inputs[b], s.states[n], s.work)
    return log_likelihood


@jit
def backward(bits, net, first, second, rate, rule, s):
    """Ascend all parameters by the gradient of the summed log-likelihood, from the last unit to the first."""
    visible, batch = bits.shape
    gradient = s.gradient
    for b in range(batch):
        for j in range(gradient.shape[1]):
            s.slope[b, j] = 0
            s.tail[b, j] = 0
    for d in range(visible - 1, -1, -1):
        clear(gradient)
        for b in range(batch):
            if bits[d, b]:
                close(b, s)
                s.now[b] = s.before[s.now[b]]
        ascend(net.weight, d, d + 1, gradient, first.weight, second.weight, rate, rule)
        clear(gradient)
        differentiate(s.errors[d], net.output[d], gradient, s)
        ascend(net.output, d, d + 1, gradient, first.output, second.output, rate, rule)
    clear(gradient)
    for b in range(batch):
        close(b, s)
    ascend(net.hidden_bias, 0, 1, gradient, first.hidden_bias, second.hidden_bias, rate, rule)
    sums = s.work[1:2, :visible]
    for d in range(visible):
        sums[0, d] = total(s.errors[d])
    ascend(net.bias, 0, 1, sums, first.bias, second.bias, rate, rule)


@jit
def close(b, s):
    """Through the sigmoids of the present state of case b: its slope joins its tail, and that the gradient."""
    one = s.states.dtype.type(1)
    h, slope, tail, gradient = s.states[s.now[b]], s.slope[b], s.tail[b], s.gradient[0]
    for j in range(h.shape[0]):
        tail[j] += slope[j] * (h[j] * (one - h[j]))
        gradient[j] += tail[j]
        slope[j] = 0


@jit
def differentiate(errors, output, gradient, s):
    """slope[b] += e_b V_d and gradient += sum_b e_b h_b, for the unit d of these errors [B] and output V_d."""
    batch, b, out = errors.shape[0], 0, gradient[0]
    while b + 4 <= batch:
        e0, e1, e2, e3 = errors[b], errors[b + 1], errors[b + 2], errors[b + 3]
        n0, n1, n2, n3 = s.now[b], s.now[b + 1], s.now[b + 2], s.now[b + 3]
        h0, h1, h2, h3 = s.states[n0], s.states[n1], s.states[n2], s.states[n3]
        for j in range(out.shape[0]):
            out[j] += (e0 * h0[j] + e1 * h1[j]) + (e2 * h2[j] + e3 * h3[j])
        b += 4
    while b < batch:
        h = s.states[s.now[b]]
        for j in range(out.shape[0]):
            out[j] += errors[b] * h[j]
        b += 1
    for b in range(batch):
        e = errors[b]
        for j in range(out.shape[0]):
            s.slope[b, j] += e * output[j]


@jit
def clear(row):
    """Zero a row [1, H]."""
    for j in range(row.shape[1]):
        row[0, j] = 0


@jit
def sigmoid(a, out, work):
    """out = sigma(a)."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    e = work[1][: a.shape[0]]
    exp_minus_abs(a, e)
    for j in range(a.shape[0]):
        out[j] = (one if a[j] >= zero else e[j]) / (one + e[j])


@jit
def dot(a, b, terms):
    """sum_j a_j b_j: by quarters, then by halves."""
    q = a.shape[0] // 4
    for j in range(q):
        terms[j] = (a[j] * b[j] + a[q + j] * b[q + j]) + (
            a[2 * q + j] * b[2 * q + j] + a[3 * q + j] * b[3 * q + j]
        )
    for j in range(4 * q, a.shape[0]):
        terms[j - 3 * q] = a[j] * b[j]
    return total(terms[: a.shape[0] - 3 * q])
