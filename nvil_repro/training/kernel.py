"""The compiled CPU engine of `advance`: Algorithm 1 for one replica at a time, its weights hot in the core's cache.

Hidden and visible units are bits, so a product with them is a sum of weight rows: only active units cost anything,
and a gradient row is added where it belongs without ever forming the gradient matrix. Replicas are independent;
threads share them out, and every number is the same whatever the number of threads.
The parameters arrive as a flat tuple in the order of `models.belief_net.parameters`, all two-dimensional.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import njit
from numba.extending import overload
from torch import Tensor

from nvil_repro.models.belief_net import parameters
from nvil_repro.training.optimisers import MOMENTS
from nvil_repro.training.schedule import run_interleaved

if TYPE_CHECKING:
    from nvil_repro.training.advance import Plan, TrainState

# Sums may be reassociated to vectorise; NaN and infinity keep their meaning, so divergence stays visible.
_jit = njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
_BLOCK = 32  # rows of a gradient formed at once where the optimiser needs it whole
_SLICE = 10  # updates a replica runs before another may have its thread
SGD, MOMENTUM, ADAM = (list(MOMENTS).index(name) for name in ("sgd", "momentum", "adam"))


def advance_kernel(
    state: TrainState, plan: Plan, x: Tensor, uniforms: Sequence[Tensor], first_update: int, threads: int
) -> Tensor:
    """See `advance`: T updates of every replica in place; returns the minibatch bounds [T, R]."""
    updates, replicas = x.shape[1], state.net.replicas
    dtype = state.net.prior.dtype
    bounds = torch.empty(replicas, updates, dtype=dtype)
    tensors = [p for _, p in parameters(state.net)]
    mean, variance = (part.T.contiguous() for part in state.signals)
    constants = np.array(
        [plan.alpha, plan.optimiser.decay, plan.optimiser.second_decay, plan.optimiser.epsilon]
    )

    def replica(r: int) -> tuple[Any, ...]:
        theta = tuple(_matrix(p, r) for p in tensors)
        moments = [tuple(_matrix(p, r) for p in buffer) for buffer in state.moments]
        first = moments[0] if moments else theta
        second = moments[1] if len(moments) > 1 else first
        group = int(plan.group[r])
        rates = np.array([float(rate[r]) for rate in plan.rates], dtype=theta[0].dtype)
        switches = np.array([bool(torch.as_tensor(s)[r]) for s in plan.ingredients])
        data = (x[group].numpy(), tuple(u[group].numpy() for u in uniforms), state.net.centre.numpy())
        signals = (mean[r].numpy(), variance[r].numpy())
        rule = (list(MOMENTS).index(plan.optimiser.name), constants.astype(theta[0].dtype))
        return (*data, theta, first, second, *signals, switches, rates, *rule, bounds[r].numpy())

    arguments = [replica(r) for r in range(replicas)]

    def run(r: int, begin: int, end: int) -> None:
        _run_replica(*arguments[r], begin, end, first_update)

    run_interleaved(run, replicas, updates, _SLICE, threads)
    state.signals.mean.copy_(mean.T)
    state.signals.variance.copy_(variance.T)
    return bounds.T


def _matrix(parameter: Tensor, replica: int) -> np.ndarray:
    """One replica of a parameter as a writable matrix that shares its memory; biases become one row."""
    return parameter[replica].reshape(-1, parameter.shape[-1]).numpy()


@_jit
def _run_replica(
    x,
    uniforms,
    centre,
    theta,
    first,
    second,
    mean,
    variance,
    switches,
    rates,
    rule,
    constants,
    bounds,
    begin,
    end,
    past,
):
    constant_baseline, input_baseline, normalisation, local = switches
    layers, batch = len(uniforms), x.shape[1]
    dtype = centre.dtype
    alpha = constants[0]
    no_centre = np.zeros(0, dtype)

    bits = [np.empty((batch, u.shape[2]), np.uint8) for u in uniforms]  # h^1..h^L
    q_errors = [np.empty((batch, u.shape[2]), dtype) for u in uniforms]
    p_errors = [np.empty((batch, theta[1 + 2 * i].shape[1]), dtype) for i in range(layers)]
    hidden = [np.empty((batch, theta[1 + 4 * layers + 4 * i].shape[1]), dtype) for i in range(layers)]
    rows = [_active_lists(batch, x.shape[2])]
    for u in uniforms:
        rows.append(_active_lists(batch, u.shape[2]))
    widest = max(x.shape[2], max([u.shape[2] for u in uniforms]), max([a.shape[1] for a in hidden]))
    work = np.empty((4, widest), dtype)
    log_q = np.empty((layers, batch), dtype)
    log_p = np.empty((layers + 1, batch), dtype)
    values = np.zeros((layers, batch), dtype)
    used = np.empty((layers, batch), dtype)

    for t in range(begin, end):
        # Q upwards: sample h^i given the sample below; the baselines read the same inputs.
        _activate(x[t], rows[0])
        for i in range(layers):
            about = centre if i == 0 else no_centre
            w = 1 + 2 * layers + 2 * i
            _affine(rows[i], about, theta[w], theta[w + 1], q_errors[i], work)
            for b in range(batch):
                log_q[i, b] = _sample_row(q_errors[i][b], uniforms[i][t, b], bits[i][b], work)
            _activate(bits[i], rows[i + 1])
            if input_baseline:
                a = 1 + 4 * layers + 4 * i
                _affine(rows[i], about, theta[a], theta[a + 1], hidden[i], work)
                _baseline_values(hidden[i], theta[a + 2], theta[a + 3], values[i], work)

        # P downwards: errors and log-probabilities of h^{i} given h^{i+1}.
        for i in range(layers):
            _affine(rows[i + 1], no_centre, theta[1 + 2 * i], theta[2 + 2 * i], p_errors[i], work)
            below = x[t] if i == 0 else bits[i - 1]
            for b in range(batch):
                log_p[i, b] = _error_row(p_errors[i][b], below[b], work)
        _prior(theta[0], bits[layers - 1], log_p[layers], work)

        bounds[t] = _signals(
            log_p, log_q, values, mean, variance, used, alpha, constant_baseline, normalisation, local
        )

        # All that is read has been read: move the parameters.
        step = _step_constants(rule, constants, past + t)
        _ascend(theta[0], 0, 1, work[0:1], first[0], second[0], rates[0], rule, step)
        for i in range(layers):
            about = centre if i == 0 else no_centre
            w = 1 + 2 * i
            _update(
                rows[i + 1],
                no_centre,
                p_errors[i],
                theta[w],
                theta[w + 1],
                _pair(first, second, w),
                rates[0],
                rule,
                step,
                work,
            )
            for b in range(batch):
                for j in range(q_errors[i].shape[1]):
                    q_errors[i][b, j] *= used[i, b]
            w = 1 + 2 * layers + 2 * i
            _update(
                rows[i],
                about,
                q_errors[i],
                theta[w],
                theta[w + 1],
                _pair(first, second, w),
                rates[1],
                rule,
                step,
                work,
            )
            if input_baseline:
                a = 1 + 4 * layers + 4 * i
                _baseline_backward(
                    hidden[i],
                    used[i],
                    theta[a + 2],
                    theta[a + 3],
                    _pair(first, second, a + 2),
                    rates[2],
                    rule,
                    step,
                )
                _update(
                    rows[i],
                    about,
                    hidden[i],
                    theta[a],
                    theta[a + 1],
                    _pair(first, second, a),
                    rates[2],
                    rule,
                    step,
                    work,
                )


@_jit
def _pair(first, second, w):
    """The moments of weight w and of the bias that follows it."""
    return first[w], second[w], first[w + 1], second[w + 1]


# --- products with bits ---------------------------------------------------------------------------------------------


@_jit
def _active_lists(batch, units):
    """Which units are on in each case, in which cases each is on: units [B, K], counts [B], cases [K, B], counts [K]"""
    return (
        np.empty((batch, units + 1), np.uint32),
        np.empty(batch, np.int64),
        np.empty((units, batch + 1), np.uint32),
        np.empty(units, np.int64),
    )


@_jit
def _activate(bits, rows):
    units, units_on, cases, cases_on = rows
    batch, width = bits.shape
    cases_on[:] = 0
    for b in range(batch):
        n = 0
        for k in range(width):  # no branch, which would be guessed wrong: an inactive unit is overwritten
            units[b, n] = np.uint32(k)
            n += np.int64(bits[b, k])
        units_on[b] = n
        for i in range(n):
            k = units[b, i]
            cases[k, cases_on[k]] = b
            cases_on[k] += 1


@_jit
def _affine(rows, centre, weight, bias, out, work):
    """out[b] = bias + (bits[b] - centre) weight, as a sum of the active rows of the weight."""
    units, units_on = rows[0], rows[1]
    width = weight.shape[1]
    start = work[0]
    for j in range(width):
        start[j] = bias[0, j]
    for k in range(len(centre)):
        for j in range(width):
            start[j] -= centre[k] * weight[k, j]
    for b in range(out.shape[0]):
        for j in range(width):
            out[b, j] = start[j]
        _add_rows(out, b, weight, units, units_on[b])


@_jit
def _add_rows(out, b, matrix, index, n):
    """out[b] += the rows of the matrix that index[b, :n] names, eight at a time."""
    i = 0
    while i + 8 <= n:
        k0, k1, k2, k3 = index[b, i], index[b, i + 1], index[b, i + 2], index[b, i + 3]
        k4, k5, k6, k7 = index[b, i + 4], index[b, i + 5], index[b, i + 6], index[b, i + 7]
        for j in range(matrix.shape[1]):
            out[b, j] += ((matrix[k0, j] + matrix[k1, j]) + (matrix[k2, j] + matrix[k3, j])) + (
                (matrix[k4, j] + matrix[k5, j]) + (matrix[k6, j] + matrix[k7, j])
            )
        i += 8
    while i + 2 <= n:
        k0, k1 = index[b, i], index[b, i + 1]
        for j in range(matrix.shape[1]):
            out[b, j] += matrix[k0, j] + matrix[k1, j]
        i += 2
    if i < n:
        k0 = index[b, i]
        for j in range(matrix.shape[1]):
            out[b, j] += matrix[k0, j]


@_jit
def _update(rows, centre, errors, weight, bias, moments, rate, rule, step, work):
    """Ascend weight by (bits - centre)^T errors and bias by the sum of errors, a block of rows at a time."""
    first, second, first_bias, second_bias = moments
    batch, width = errors.shape
    total = work[0:1]
    for j in range(width):
        total[0, j] = 0
    for b in range(batch):
        for j in range(width):
            total[0, j] += errors[b, j]
    if rule == SGD:
        _add_outer(weight, 0, weight.shape[0], rows, errors, centre, total, rate)
    else:
        gradient = np.empty((_BLOCK, width), weight.dtype)
        for begin in range(0, weight.shape[0], _BLOCK):
            end = min(begin + _BLOCK, weight.shape[0])
            gradient[:] = 0
            _add_outer(gradient, begin, end, rows, errors, centre, total, weight.dtype.type(1))
            _ascend(weight, begin, end, gradient, first, second, rate, rule, step)
    _ascend(bias, 0, 1, total, first_bias, second_bias, rate, rule, step)


@_jit
def _add_outer(out, begin, end, rows, errors, centre, total, rate):
    """out += rate (bits - centre)^T errors for the rows begin..end of the product, four cases at a time."""
    cases, cases_on = rows[2], rows[3]
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


# --- optimisers -----------------------------------------------------------------------------------------------------


@_jit
def _step_constants(rule, constants, update):
    """(decay, second decay, 1/(1 - decay^t), 1/(1 - second decay^t), epsilon) at update t - 1."""
    decay, second_decay = float(constants[1]), float(constants[2])
    step = np.empty(5, constants.dtype)
    step[0], step[1], step[4] = decay, second_decay, constants[3]
    if rule == ADAM:
        step[2] = 1 / (1 - decay ** (update + 1))
        step[3] = 1 / (1 - second_decay ** (update + 1))
    return step


@_jit
def _ascend(matrix, begin, end, gradient, first, second, rate, rule, step):
    """Ascend rows begin..end of the matrix along the gradient's first rows; `first` and `second` are its moments."""
    one = matrix.dtype.type(1)
    for k in range(begin, end):
        row = k - begin
        if rule == SGD:
            for j in range(matrix.shape[1]):
                matrix[k, j] += rate * gradient[row, j]
        elif rule == MOMENTUM:
            for j in range(matrix.shape[1]):
                first[k, j] = step[0] * first[k, j] + gradient[row, j]
                matrix[k, j] += rate * first[k, j]
        else:
            for j in range(matrix.shape[1]):
                g = gradient[row, j]
                first[k, j] += (one - step[0]) * (g - first[k, j])
                second[k, j] = step[1] * second[k, j] + (one - step[1]) * g * g
                matrix[k, j] += rate * (first[k, j] * step[2]) / (math.sqrt(second[k, j] * step[3]) + step[4])


# --- Bernoulli rows -------------------------------------------------------------------------------------------------


@_jit
def _sample_row(logits, uniforms, bits, work):
    """bits ~ Bernoulli(sigma(logits)); logits become bits - sigma(logits); returns log Q(bits)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e = work[1][: logits.shape[0]]
    _exp_minus_abs(logits, e, work[2], work[3])
    total = zero
    for j in range(logits.shape[0]):
        a = logits[j]
        s = (one if a >= zero else e[j]) / (one + e[j])
        bit = one if uniforms[j] < s else zero
        bits[j] = np.uint8(bit)
        total += bit * a - max(a, zero)
        logits[j] = bit - s
    return total - _sum_log1p(e)


@_jit
def _error_row(logits, bits, work):
    """logits become bits - sigma(logits); returns log P(bits)."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    e = work[1][: logits.shape[0]]
    _exp_minus_abs(logits, e, work[2], work[3])
    total = zero
    for j in range(logits.shape[0]):
        a = logits[j]
        bit = one if bits[j] else zero
        s = (one if a >= zero else e[j]) / (one + e[j])
        total += bit * a - max(a, zero)
        logits[j] = bit - s
    return total - _sum_log1p(e)


@_jit
def _prior(logits, bits, log_p, work):
    """log P(h^L) of every case; work[0] receives the summed errors, the prior's gradient."""
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    batch, width = bits.shape
    total, e = work[0][:width], work[1][:width]
    _exp_minus_abs(logits[0], e, work[2], work[3])
    base = -_sum_log1p(e)
    for j in range(width):
        a = logits[0, j]
        base -= max(a, zero)
        total[j] = -batch * ((one if a >= zero else e[j]) / (one + e[j]))
    for b in range(batch):
        log_p[b] = base
        for j in range(width):
            bit = one if bits[b, j] else zero
            log_p[b] += bit * logits[0, j]
            total[j] += bit


@_jit
def _sum_log1p(e):
    """sum_j log(1 + e_j) for 0 <= e_j <= 1, one logarithm for every 64 factors: their product is at most 2^64."""
    one, total = e.dtype.type(1), 0.0
    for begin in range(0, e.shape[0], 64):
        product, part = one, e[begin : begin + 64]
        for j in range(part.shape[0]):
            product *= one + part[j]
        total += math.log(product)
    return total


def _exp_minus_abs(a, out, scale, whole):
    """out_j = exp(-|a_j|): within 2 ulp of 1 + exp(-|a_j|) in float32, the library's exp in float64."""


_LOG2E = np.float32(1.4426950408889634)
_TAYLOR = tuple(np.float32(math.log(2) ** k / math.factorial(k)) for k in range(8))


@overload(_exp_minus_abs, jit_options={"fastmath": {"reassoc", "contract", "nsz", "arcp"}})
def _overload_exp(a, out, scale, whole):
    if a.dtype.bitwidth != 32:

        def double(a, out, scale, whole):
            for j in range(a.shape[0]):
                out[j] = math.exp(-abs(a[j]))

        return double
    c0, c1, c2, c3, c4, c5, c6, c7 = _TAYLOR

    def single(a, out, scale, whole):
        # 2^z = 2^n 2^f with n whole and |f| <= 1/2: the first from the exponent's bits, the second from its series.
        exponent = scale.view(np.int32)
        for j in range(a.shape[0]):
            z = max(-abs(a[j]) * _LOG2E, np.float32(-126))
            n = np.floor(z + np.float32(0.5))
            f = z - n
            exponent[j] = (np.int32(n) + np.int32(127)) << np.int32(23)
            out[j] = c0 + f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * (c6 + f * c7))))))
        for j in range(a.shape[0]):
            out[j] *= scale[j]

    return single


# --- baselines and signals ------------------------------------------------------------------------------------------


@_jit
def _baseline_values(hidden, weight, bias, values, work):
    """hidden becomes tanh(hidden); values[b] = C_psi of case b."""
    zero, one = hidden.dtype.type(0), hidden.dtype.type(1)
    for b in range(hidden.shape[0]):
        row = hidden[b]
        e = work[1][: row.shape[0]]
        twice = work[0][: row.shape[0]]
        for j in range(row.shape[0]):
            twice[j] = row[j] + row[j]
        _exp_minus_abs(twice, e, work[2], work[3])
        total = bias[0, 0]
        for j in range(row.shape[0]):
            tanh = (one - e[j]) / (one + e[j])
            row[j] = tanh if row[j] >= zero else -tanh
            total += row[j] * weight[j, 0]
        values[b] = total


@_jit
def _baseline_backward(hidden, used, weight, bias, moments, rate, rule, step):
    """Ascend the output of C_psi by sum_b l dC; hidden becomes the error of its tanh units' inputs."""
    first, second, first_bias, second_bias = moments
    one = hidden.dtype.type(1)
    before, gradient, total = weight.copy(), np.zeros_like(weight), np.zeros_like(bias)
    for b in range(hidden.shape[0]):
        total[0, 0] += used[b]
        for j in range(hidden.shape[1]):
            tanh = hidden[b, j]
            gradient[j, 0] += used[b] * tanh
            hidden[b, j] = used[b] * before[j, 0] * (one - tanh * tanh)
    _ascend(weight, 0, weight.shape[0], gradient, first, second, rate, rule, step)
    _ascend(bias, 0, 1, total, first_bias, second_bias, rate, rule, step)


@_jit
def _signals(log_p, log_q, values, mean, variance, used, alpha, constant_baseline, normalisation, local):
    """`learning.nvil.signals_of` for one replica; returns the mean single-sample bound of the minibatch."""
    layers, batch = log_q.shape
    bound = 0.0
    for b in range(batch):
        signal = log_p[layers, b]
        for i in range(layers - 1, -1, -1):
            signal += log_p[i, b] - log_q[i, b]
            used[i, b] = signal
        bound += signal
        if not local:
            for i in range(layers):
                used[i, b] = signal
    for i in range(layers):
        for b in range(batch):
            used[i, b] -= values[i, b]
        centre = used[i].mean()
        mean[i] = alpha * mean[i] + (1 - alpha) * centre
        spread = 0.0
        for b in range(batch):
            spread += (used[i, b] - centre) ** 2
        variance[i] = alpha * variance[i] + (1 - alpha) * spread / batch
        scale = max(1.0, math.sqrt(variance[i])) if normalisation else 1.0
        for b in range(batch):
            used[i, b] = (used[i, b] - (mean[i] if constant_baseline else 0.0)) / scale
    return bound / batch
