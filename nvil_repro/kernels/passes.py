"""The passes through a net that every method is made of: Q upwards, P downwards, and the ascent of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.ascent import uncentred, update, update_lateral
from nvil_repro.kernels.bernoulli import error_row, sample_row, sample_row_by_unit
from nvil_repro.kernels.jit import jit
from nvil_repro.kernels.products import Active, activate, active, add_lateral, affine
from nvil_repro.kernels.replicas import Net


class Scratch(NamedTuple):
    """Room for one minibatch of one replica: tuples by layer, i = 0..L unless said otherwise.

    Made outside the compiled code, whose lists do not count references to the arrays of a named tuple.
    """

    bits: tuple[np.ndarray, ...]  # x, h^1..h^L: uint8 [B, H_i]
    on: tuple[Active, ...]  # where they are on, and a last entry for no units at all
    p_errors: tuple[np.ndarray, ...]  # h^i - E_P[h^i | h^{i+1}], [B, H_i]
    q_errors: tuple[np.ndarray, ...]  # [i - 1]: h^i - E_Q[h^i | h^{i-1}], i = 1..L
    hidden: tuple[np.ndarray, ...]  # [i]: tanh units of the baseline that sees h^i, i = 0..L-1
    log_p: np.ndarray  # [L + 1, B]
    log_q: np.ndarray  # [L, B]
    work: np.ndarray  # [2, widest]: terms and sums, exponentials


def scratch(net: Net, batch: int) -> Scratch:
    """Room for minibatches of `batch` cases."""
    sizes = [layer.value.bias.shape[1] for layer in net.model]
    tanhs = [layer.value.bias.shape[1] for layer in net.hidden]
    dtype = net.centre.dtype

    def rooms(widths: list[int], kind: np.typing.DTypeLike) -> tuple[np.ndarray, ...]:
        return tuple(np.empty((batch, width), kind) for width in widths)

    return Scratch(
        rooms(sizes, np.uint8),
        tuple(active(batch, size) for size in [*sizes, 0]),
        rooms(sizes, dtype),
        rooms(sizes[1:], dtype),
        rooms(tanhs, dtype),
        np.empty((len(sizes), batch), dtype),
        np.empty((len(sizes) - 1, batch), dtype),
        np.empty((2, max(sizes + tanhs)), dtype),
    )


@jit
def show(x, s):
    """Take a minibatch x [B, D] in."""
    for b in range(x.shape[0]):
        for j in range(x.shape[1]):
            s.bits[0][b, j] = x[b, j]
    activate(s.bits[0], s.on[0])


@jit
def infer(layer, about, q, uniforms, s):
    """Sample h^{layer+1} ~ Q given the layer below: bits, errors, log Q; `about` centres the inputs if not empty."""
    affine(s.on[layer], about, q.value, s.q_errors[layer], s.work)
    draw(layer, q, uniforms, s)


@jit
def draw(layer, q, uniforms, s):
    """Sample h^{layer+1} ~ Q from what its inputs contribute to the logits, which become errors; log Q."""
    errors, bits = s.q_errors[layer], s.bits[layer + 1]
    for b in range(bits.shape[0]):
        if q.value.lateral.size:
            s.log_q[layer, b] = sample_row_by_unit(errors[b], uniforms[b], bits[b], q.value.lateral, s.work)
        else:
            s.log_q[layer, b] = sample_row(errors[b], uniforms[b], bits[b], s.work)
    activate(bits, s.on[layer + 1])


@jit
def explain(layer, nothing, p, s):
    """Errors and log P of h^layer given the layer above."""
    errors, bits = s.p_errors[layer], s.bits[layer]
    affine(s.on[layer + 1], nothing, p.value, errors, s.work)
    if p.value.lateral.size:
        add_lateral(s.on[layer], p.value, errors)
    for b in range(bits.shape[0]):
        s.log_p[layer, b] = error_row(errors[b], bits[b], s.work)


@jit
def imagine(layer, nothing, p, uniforms, s):
    """Sample h^layer ~ P given the layer above."""
    logits, bits = s.p_errors[layer], s.bits[layer]
    affine(s.on[layer + 1], nothing, p.value, logits, s.work)
    for b in range(bits.shape[0]):
        if p.value.lateral.size:
            sample_row_by_unit(logits[b], uniforms[b], bits[b], p.value.lateral, s.work)
        else:
            sample_row(logits[b], uniforms[b], bits[b], s.work)
    activate(bits, s.on[layer])


@jit
def recognise(layer, about, q, s):
    """Errors of h^{layer+1} under Q given the layer below, for bits that are there already."""
    errors, bits = s.q_errors[layer], s.bits[layer + 1]
    affine(s.on[layer], about, q.value, errors, s.work)
    if q.value.lateral.size:
        add_lateral(s.on[layer + 1], q.value, errors)
    for b in range(bits.shape[0]):
        s.log_q[layer, b] = error_row(errors[b], bits[b], s.work)


@jit
def weigh(errors, used):
    """Errors of a layer [B, H] times the signal of each case: a function, for in a loop whose layer is looked up at
    every turn the look-up takes longer than the product.
    """
    for b in range(errors.shape[0]):
        for j in range(errors.shape[1]):
            errors[b, j] *= used[b]


@jit
def ascend_model(model, s, nothing, rate, rule):
    """theta += rate sum d log P(x, h), every layer."""
    for i in range(len(model)):
        ascend_layer(i, model[i], s, nothing, rate, rule)


@jit
def ascend_layer(layer, p, s, nothing, rate, rule):
    """The same for one layer."""
    if p.value.lateral.size:
        own = rule if layer else uncentred(rule)  # pixels see pixels
        update_lateral(s.on[layer], s.p_errors[layer], p, rate, own, s.work)
    update(s.on[layer + 1], nothing, s.p_errors[layer], p, rate, rule, s.work)


@jit
def ascend_inference(layer, about, q, s, rate, rule):
    """phi += rate sum of what `s.q_errors[layer]` makes of d log Q, one layer."""
    if q.value.lateral.size:
        update_lateral(s.on[layer + 1], s.q_errors[layer], q, rate, rule, s.work)
    update(s.on[layer], about, s.q_errors[layer], q, rate, rule, s.work)
