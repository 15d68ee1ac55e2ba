"""C_psi, the input-dependent baseline: its values and its ascent."""

from __future__ import annotations

import numpy as np

from nvil_repro.kernels.ascent import ascend
from nvil_repro.kernels.bernoulli import exp_minus_abs, total
from nvil_repro.kernels.jit import jit


@jit
def baseline_values(hidden, output, values, work):
    """hidden becomes tanh(hidden); values[b] = C_psi of case b."""
    zero, one = hidden.dtype.type(0), hidden.dtype.type(1)
    for b in range(hidden.shape[0]):
        row = hidden[b]
        e = work[1][: row.shape[0]]
        twice = work[0][: row.shape[0]]
        for j in range(row.shape[0]):
            twice[j] = row[j] + row[j]
        exp_minus_abs(twice, e)
        for j in range(row.shape[0]):
            tanh = (one - e[j]) / (one + e[j])
            row[j] = tanh if row[j] >= zero else -tanh
            twice[j] = row[j] * output.weight[j, 0]
        values[b] = output.bias[0, 0] + total(twice)


@jit
def baseline_backward(hidden, used, output, rate, rule):
    """Ascend the output of C_psi by sum_b l dC; hidden becomes the error of its tanh units' inputs."""
    weight, bias = output.value.weight, output.value.bias
    one = hidden.dtype.type(1)
    before, gradient = np.empty(weight.shape, weight.dtype), np.zeros(weight.shape, weight.dtype)
    residual = np.zeros(bias.shape, bias.dtype)
    for j in range(weight.shape[0]):
        before[j, 0] = weight[j, 0]
    for b in range(hidden.shape[0]):
        residual[0, 0] += used[b]
        for j in range(hidden.shape[1]):
            tanh = hidden[b, j]
            gradient[j, 0] += used[b] * tanh
            hidden[b, j] = used[b] * before[j, 0] * (one - tanh * tanh)
    first, second = output.first, output.second
    ascend(weight, 0, weight.shape[0], gradient, first.weight, second.weight, rate, rule)
    ascend(bias, 0, 1, residual, first.bias, second.bias, rate, rule)
