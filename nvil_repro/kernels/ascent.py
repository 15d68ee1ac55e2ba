"""Moving the parameters: SGD, momentum or Adam, in place, without ever forming a whole gradient matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.jit import inlined, jit
from nvil_repro.kernels.products import sum_of_rows
from nvil_repro.kernels.vectors import (
    NARROW,
    ONE,
    WIDE,
    entries,
    filled,
    load,
    narrow,
    square_root,
    store,
    wide,
)

SGD, MOMENTUM, ADAM = range(3)
KINDS = {"sgd": SGD, "momentum": MOMENTUM, "adam": ADAM}  # by the name of `training.optimisers.Optimiser`
SPAN = np.uintp(512)  # columns that all rows are updated in before the next: their errors stay in the cache


class Layer(NamedTuple):
    """The parameters of a conditional, or moments of their shape; what is absent has no entries."""

    weight: np.ndarray  # [in, out]
    bias: np.ndarray  # [1, out]
    lateral: np.ndarray  # [out, out], strictly upper triangular


class Trained(NamedTuple):
    """A layer and the optimiser's moments of it (anything of that shape where it keeps none)."""

    value: Layer
    first: Layer
    second: Layer


class Rule(NamedTuple):
    """`training.optimisers.Optimiser` at one update, and weight decay, in the dtype of the parameters."""

    kind: int
    decay: float
    second_decay: float
    correction: float  # 1 / (1 - decay^t)
    second_correction: float
    epsilon: float
    centre: float  # of hidden units
    lost: float  # by weight decay: the share of weights, not biases, that an update takes away


@jit
def rule_at(kind, constants, update):
    """The rule at `update`, counted from 0; constants are decay, second decay, epsilon, centre."""
    one = constants.dtype.type(1)
    first, second = one, one
    if kind == ADAM:
        first = constants.dtype.type(1 / (1 - float(constants[0]) ** (update + 1)))
        second = constants.dtype.type(1 / (1 - float(constants[1]) ** (update + 1)))
    return Rule(kind, constants[0], constants[1], first, second, constants[2], constants[3], one - one)


@jit
def uncentred(rule):
    """The rule for weights whose inputs are not hidden units."""
    return _but(rule, rule.centre - rule.centre, rule.lost)


@jit
def shrinking(rule, lost):
    """The rule with weight decay."""
    return _but(rule, rule.centre, lost)


@jit
def _but(rule, centre, lost):
    kind, decay, second_decay, correction, second_correction, epsilon, _, _ = rule
    return Rule(kind, decay, second_decay, correction, second_correction, epsilon, centre, lost)


@jit
def update(on, centre, errors, layer, rate, rule, work):
    """Ascend weight by (bits - centre)^T errors and bias by the sum of errors; errors [B, out].

    An empty centre is that of the rule, which the bias makes up for.
    """
    if len(centre):
        rule = uncentred(rule)
    total, moved = work[0:1], work[1:2]
    _sum_errors(errors, total, moved)
    v, f, s = layer.value, layer.first, layer.second
    _update_matrix(v.weight, f.weight, s.weight, on, centre, errors, total, moved, rate, rule, False)
    ascend(v.bias, 0, 1, total, f.bias, s.bias, rate, rule)
    _make_up(v.bias, moved, rule)


@jit
def update_lateral(on, errors, layer, rate, rule, work):
    """Ascend lateral by (bits - the rule's centre)^T errors above the diagonal, bits being the layer's own."""
    total, moved, nothing = work[0:1], work[1:2], work[0][:0]
    _sum_errors(errors, total, moved)
    v, f, s = layer.value, layer.first, layer.second
    _update_matrix(v.lateral, f.lateral, s.lateral, on, nothing, errors, total, moved, rate, rule, True)
    _make_up(v.bias, moved, rule)


@jit
def _sum_errors(errors, total, moved):
    """total = the sum of errors over cases, moved = 0."""
    for j in range(errors.shape[1]):
        total[0, j] = 0
        moved[0, j] = 0
    for b in range(errors.shape[0]):
        for j in range(errors.shape[1]):
            total[0, j] += errors[b, j]


@jit
def _make_up(bias, moved, rule):
    """Keep the logits at the centre where they were."""
    if rule.centre != 0:
        for j in range(bias.shape[1]):
            bias[0, j] -= rule.centre * moved[0, j]


@jit
def _update_matrix(matrix, first, second, on, centre, errors, total, moved, rate, rule, triangle):
    """Ascend a matrix by (bits - centre)^T errors, or what of it is above the diagonal; total [1, out] sums the errors,
    and moved [1, out] the steps of all rows. A span of columns at a time.
    """
    zero, width = matrix.dtype.type(0), np.uintp(matrix.shape[1])
    room = (
        entries(matrix),
        entries(first),
        entries(second),
        entries(on.cases),
        entries(errors),
        entries(total),
        entries(moved),
    )
    for span in range(np.uintp(0), width, SPAN):
        end = min(span + SPAN, width)
        for row in range(matrix.shape[0]):
            k = np.uintp(row)
            j = max(span, k + ONE) if triangle else span
            about = centre[k] if len(centre) else rule.centre
            given = *room, k, np.uintp(on.cases_on[k]), about, rate, rule
            j = _update_pieces(*given, j, end, WIDE, wide(zero))
            j = _update_pieces(*given, j, end, NARROW, narrow(zero))
            _update_pieces(*given, j, end, ONE, zero)


@inlined
def _update_pieces(
    matrix, first, second, cases, errors, total, moved, k, n, about, rate, rule, j, end, lanes, like
):
    """Row k, whose bit is on in the n cases that cases[k] lists, less `about`, its centre: from column j on as long as
    pieces fit; where it ended.
    """
    while j + lanes <= end:
        gradient = sum_of_rows(errors, cases, k, n, j, like)
        if about != 0:
            gradient = gradient - about * load(total, 0, j, like)
        value, step = load(matrix, k, j, like), _step(first, second, k, j, gradient, rate, rule)
        if rule.lost != 0:
            step = step - rule.lost * value
        store(matrix, k, j, value + step)
        if rule.centre != 0:
            store(moved, 0, j, load(moved, 0, j, like) + step)
        j += lanes
    return j


@jit
def ascend(matrix, begin, end, gradient, first, second, rate, rule):
    """Ascend rows begin..end of a matrix along the first rows of `gradient`, which become the steps; `first`, `second`
    are its moments. The rule's centre and weight decay are not for these.
    """
    zero, width = matrix.dtype.type(0), np.uintp(matrix.shape[1])
    room = entries(matrix), entries(first), entries(second), entries(gradient)
    for row in range(begin, end):
        given = *room, np.uintp(row), np.uintp(row - begin), rate, rule
        j = _ascend_pieces(*given, np.uintp(0), width, WIDE, wide(zero))
        j = _ascend_pieces(*given, j, width, NARROW, narrow(zero))
        _ascend_pieces(*given, j, width, ONE, zero)


@inlined
def _ascend_pieces(matrix, first, second, gradient, k, row, rate, rule, j, end, lanes, like):
    """Row k along this row of `gradient`, likewise."""
    while j + lanes <= end:
        step = _step(first, second, k, j, load(gradient, row, j, like), rate, rule)
        store(gradient, row, j, step)
        store(matrix, k, j, load(matrix, k, j, like) + step)
        j += lanes
    return j


@inlined
def _step(first, second, k, j, gradient, rate, rule):
    """What the rule makes of a gradient of entries [k, j] and following, whose moments move."""
    if rule.kind == SGD:
        return rate * gradient
    one, mean = filled(1, rule.decay), load(first, k, j, gradient)
    if rule.kind == MOMENTUM:
        mean = rule.decay * mean + gradient
        store(first, k, j, mean)
        return rate * mean
    square = load(second, k, j, gradient)
    mean = mean + (one - rule.decay) * (gradient - mean)
    square = rule.second_decay * square + (one - rule.second_decay) * gradient * gradient
    store(first, k, j, mean)
    store(second, k, j, square)
    return rate * (mean * rule.correction) / (square_root(square * rule.second_correction) + rule.epsilon)
