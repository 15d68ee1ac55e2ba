"""NVIL, compiled: `learning.nvil` and `learning.closed_form` for one replica, many updates at a time."""

from __future__ import annotations

import math

import numpy as np

from nvil_repro.kernels.ascent import rule_at, update
from nvil_repro.kernels.baseline import baseline_backward, baseline_values
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.passes import ascend_inference, ascend_model, explain, infer, show, weigh
from nvil_repro.kernels.products import affine


@entry
def run_nvil(x, uniforms, net, how, s, dream, mean, variance, bounds, begin, end, past):
    """Updates begin..end of a chunk, in place; `dream` is not used."""
    input_baseline = how.switches[1]
    layers, batch = len(net.inference), x.shape[1]
    nothing = np.zeros(0, net.centre.dtype)
    values, used = np.zeros((layers, batch), s.log_q.dtype), np.empty((layers, batch), s.log_q.dtype)

    for t in range(begin, end):
        show(x[t], s)
        for i in range(layers):
            about = net.centre if i == 0 else nothing
            infer(i, about, net.inference[i], uniforms[i][t], s)
            if input_baseline:
                affine(s.on[i], about, net.hidden[i].value, s.hidden[i], s.work)
                baseline_values(s.hidden[i], net.output[i].value, values[i], s.work)
        for i in range(layers + 1):
            explain(i, nothing, net.model[i], s)
        bounds[t] = signals_of(s.log_p, s.log_q, values, mean, variance, used, how.alpha, how.switches)

        # All that is read has been read: move the parameters.
        rule = rule_at(how.kind, how.constants, past + t)
        ascend_model(net.model, s, nothing, how.rates[0], rule)
        for i in range(layers):
            about = net.centre if i == 0 else nothing
            weigh(s.q_errors[i], used[i])
            ascend_inference(i, about, net.inference[i], s, how.rates[1], rule)
            if input_baseline:
                baseline_backward(s.hidden[i], used[i], net.output[i], how.rates[2], rule)
                update(s.on[i], about, s.hidden[i], net.hidden[i], how.rates[2], rule, s.work)


@jit
def signals_of(log_p, log_q, values, mean, variance, used, alpha, switches):
    """`learning.nvil.signals_of` for one replica; returns the mean single-sample bound of the minibatch."""
    constant_baseline, _, normalisation, local = switches
    layers, batch = log_q.shape
    bound = 0.0
    for b in range(batch):
        signal = float(log_p[layers, b])
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
        centre = 0.0
        for b in range(batch):
            centre += used[i, b] / batch
        mean[i] = alpha * mean[i] + (1 - alpha) * centre
        spread = 0.0
        for b in range(batch):
            spread += (used[i, b] - centre) ** 2
        variance[i] = alpha * variance[i] + (1 - alpha) * spread / batch
        scale = math.sqrt(variance[i]) if normalisation else 1.0
        if scale < 1:  # not max, which would drop NaN
            scale = 1.0
        for b in range(batch):
            used[i, b] = (used[i, b] - (mean[i] if constant_baseline else 0.0)) / scale
    return bound / batch
