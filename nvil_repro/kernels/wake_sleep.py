"""Wake-sleep, compiled: `learning.wake_sleep` for one replica, many updates at a time."""

from __future__ import annotations

import numpy as np

from nvil_repro.kernels.ascent import rule_at
from nvil_repro.kernels.jit import entry
from nvil_repro.kernels.passes import (
    ascend_inference,
    ascend_model,
    explain,
    imagine,
    infer,
    recognise,
    show,
)


@entry
def run_wake_sleep(x, uniforms, net, how, s, dream, mean, variance, bounds, begin, end, past):
    """Updates begin..end of a chunk, in place; mean and variance are not used."""
    layers, batch = len(net.inference), x.shape[1]
    nothing = np.zeros(0, net.centre.dtype)
    for t in range(begin, end):
        show(x[t], s)
        for i in range(layers):
            infer(i, net.centre if i == 0 else nothing, net.inference[i], uniforms[i][t], s)
        for i in range(layers + 1):
            explain(i, nothing, net.model[i], s)
        bound = 0.0
        for b in range(batch):
            for i in range(layers + 1):
                bound += s.log_p[i, b] / batch
            for i in range(layers):
                bound -= s.log_q[i, b] / batch
        bounds[t] = bound

        for i in range(layers, -1, -1):
            imagine(i, nothing, net.model[i], uniforms[layers + i][t], dream)
        for i in range(layers):
            recognise(i, net.centre if i == 0 else nothing, net.inference[i], dream)

        # All that is read has been read: move the parameters.
        rule = rule_at(how.kind, how.constants, past + t)
        ascend_model(net.model, s, nothing, how.rates[0], rule)
        for i in range(layers):
            about = net.centre if i == 0 else nothing
            ascend_inference(i, about, net.inference[i], dream, how.rates[1], rule)
