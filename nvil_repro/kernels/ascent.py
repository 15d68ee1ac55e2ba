"""Moving the parameters: SGD, momentum or Adam, in place, without ever forming a whole gradient matrix."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.jit import jit

SGD, MOMENTUM, ADAM = range(3)
KINDS = {"sgd": SGD, "momentum": MOMENTUM, "adam": ADAM}  # by the name of `training.optimisers.Optimiser`
BLOCK = 32  # rows of a gradient formed at once where the optimiser needs it whole


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
    """`training.optimisers.Optimiser` at one update, in the dtype of the parameters."""

    kind: int
    decay: float
    second_decay: float
    correction: float  # 1 / (1 - decay^t)
    second_correction: float
    epsilon: float
    centre: float  # of hidden units


@jit
def rule_at(kind, constants, update):
    """The rule at `update`, counted from 0; constants are decay, second decay, epsilon, centre."""
    one = constants.dtype.type(1)
    first, second = one, one
    if kind == ADAM:
        first = constants.dtype.type(1 / (1 - float(constants[0]) ** (update + 1)))
        second = constants.dtype.type(1 / (1 - float(constants[1]) ** (update + 1)))
    return Rule(kind, constants[0], constants[1], first, second, constants[2], constants[3])


@jit
def uncentred(rule):
    """The rule for weights whose inputs are not hidden units."""
    zero = rule.centre - rule.centre
    return Rule(
        rule.kind, rule.decay, rule.second_decay, rule.correction, rule.second_correction, rule.epsilon, zero
    )


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
    ascend(v.bias, 0, 1, total, f.bias, s.bias, work[2:3], rate, rule)
    _make_up(v.bias, moved, rule)


@jit
def update_lateral(on, errors, layer, rate, rule, work):
    """Ascend lateral by (bits - the rule's centre)^T errors above the diagonal, bits being the layer's own."""
    total, moved = work[0:1], work[1:2]
    _sum_errors(errors, total, moved)
    v, f, s = layer.value, layer.first, layer.second
    nothing = work[0][:0]
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
    """Ascend a matrix by (bits - centre)^T errors, a block of rows at a time; total [1, out] sums the errors, and
    moved [1, out] the steps of all rows.
    """
    one = matrix.dtype.type(1)
    if rule.kind == SGD and rule.centre == 0:
        _add_outer(matrix, 0, matrix.shape[0], on, errors, centre, total, rate)
        if triangle:
            _clear(matrix, 0)
        return
    gradient = np.empty((BLOCK, matrix.shape[1]), matrix.dtype)
    for begin in range(0, matrix.shape[0], BLOCK):
        end = min(begin + BLOCK, matrix.shape[0])
        for row in range(BLOCK):
            for j in range(matrix.shape[1]):
                gradient[row, j] = -rule.centre * total[0, j]
        _add_outer(gradient, begin, end, on, errors, centre, total, one)
        if triangle:
            _clear(gradient, begin)
        ascend(matrix, begin, end, gradient, first, second, moved, rate, rule)


@jit
def _clear(rows, begin):
    """Zero what lies on and below the diagonal, the first row being row `begin` of the matrix."""
    for k in range(rows.shape[0]):
        for j in range(min(begin + k + 1, rows.shape[1])):
            rows[k, j] = 0


@jit
def _add_outer(out, begin, end, on, errors, centre, total, rate):
    """out += rate (bits - centre)^T errors for the rows begin..end of the product, four cases at a time."""
    cases, cases_on = on.cases, on.cases_on
    width = errors.shape[1]
    for k in range(begin, end):
        row = k - begin
        n = cases_on[k]
        i = 0
        if len(centre):
            scaled = rate * centre[k]
            for j in range(width):
                out[row, j] -= scaled * total[0, j]
        while i + 4 <= n:
            b0, b1, b2, b3 = cases[k, i], cases[k, i + 1], cases[k, i + 2], cases[k, i + 3]
            for j in range(width):
                out[row, j] += rate * ((errors[b0, j] + errors[b1, j]) + (errors[b2, j] + errors[b3, j]))
            i += 4
        while i + 2 <= n:
            b0, b1 = cases[k, i], cases[k, i + 1]
            for j in range(width):
                out[row, j] += rate * (errors[b0, j] + errors[b1, j])
            i += 2
        if i < n:
            b0 = cases[k, i]
            for j in range(width):
                out[row, j] += rate * errors[b0, j]


@jit
def ascend(matrix, begin, end, gradient, first, second, moved, rate, rule):
    """Ascend rows begin..end of a matrix along the first rows of `gradient`, which become the steps; `first`, `second`
    are its moments. Where the rule has a centre the steps are added to moved [1, out].
    """
    one = matrix.dtype.type(1)
    for k in range(begin, end):
        row = k - begin
        if rule.kind == SGD:
            for j in range(matrix.shape[1]):
                gradient[row, j] = rate * gradient[row, j]
                matrix[k, j] += gradient[row, j]
        elif rule.kind == MOMENTUM:
            for j in range(matrix.shape[1]):
                first[k, j] = rule.decay * first[k, j] + gradient[row, j]
                gradient[row, j] = rate * first[k, j]
                matrix[k, j] += gradient[row, j]
        else:
            for j in range(matrix.shape[1]):
                g = gradient[row, j]
                first[k, j] += (one - rule.decay) * (g - first[k, j])
                second[k, j] = rule.second_decay * second[k, j] + (one - rule.second_decay) * g * g
                scale = math.sqrt(second[k, j] * rule.second_correction) + rule.epsilon
                gradient[row, j] = rate * (first[k, j] * rule.correction) / scale
                matrix[k, j] += gradient[row, j]
        if rule.centre != 0:
            for j in range(matrix.shape[1]):
                moved[0, j] += gradient[row, j]
