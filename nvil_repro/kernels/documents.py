"""NVIL on documents, compiled: `kernels.nvil` with a visible layer of words, one replica, many updates at a time."""

from __future__ import annotations

import numpy as np

from nvil_repro.kernels.ascent import rule_at, shrinking, update, update_lateral
from nvil_repro.kernels.baseline import baseline_backward, baseline_values
from nvil_repro.kernels.documents_decoder import decode
from nvil_repro.kernels.documents_encoder import ascend_words, close_rows, encode, meet, open_rows
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.nvil import signals_of
from nvil_repro.kernels.passes import ascend_inference, ascend_model, draw, explain, infer, weigh
from nvil_repro.kernels.products import affine


@entry
def run_documents(text, uniforms, net, how, lost, s, rows, mean, variance, objective, begin, end, past):
    """Updates begin..end of a chunk, in place; objective[t] is the mean bound per word of its minibatch t.

    `lost` is the share of its weights that weight decay takes from the model at an update; `rows` are those of the
    inference network and of the baseline.
    """
    input_baseline, kind = how.switches[1], how.kind
    layers, batch = len(net.inference), text.cases.shape[1]
    nothing = np.zeros(0, net.centre.dtype)
    values, used = np.zeros((layers, batch), s.log_q.dtype), np.empty((layers, batch), s.log_q.dtype)
    if begin == 0:
        open_rows(rows[0], net.centre, net.inference[0], how.rates[1], how)
        if input_baseline:
            open_rows(rows[1], net.centre, net.hidden[0], how.rates[2], how)

    for t in range(begin, end):
        meet(text, t, net.centre)
        encode(text, t, rows[0], net.inference[0], s.q_errors[0], kind)
        draw(0, net.inference[0], uniforms[0][t], s)
        for i in range(1, layers):
            infer(i, nothing, net.inference[i], uniforms[i][t], s)
        if input_baseline:
            encode(text, t, rows[1], net.hidden[0], s.hidden[0], kind)
            for i in range(1, layers):
                affine(s.on[i], nothing, net.hidden[i].value, s.hidden[i], s.work)
            for i in range(layers):
                baseline_values(s.hidden[i], net.output[i].value, values[i], s.work)
        decode(text, t, s.on[1], net.model[0].value, s.p_errors[0], s.log_p[0])
        for i in range(1, layers + 1):
            explain(i, nothing, net.model[i], s)
        objective[t] = _bound_per_word(text.lengths, s.log_p, s.log_q)
        signals_of(s.log_p, s.log_q, values, mean, variance, used, how.alpha, how.switches)

        # All that is read has been read: move the parameters.
        rule = rule_at(kind, how.constants, past + t)
        ascend_model(net.model, s, nothing, how.rates[0], shrinking(rule, lost))
        for i in range(layers):
            weigh(s.q_errors[i], used[i])
            if input_baseline:
                baseline_backward(s.hidden[i], used[i], net.output[i], how.rates[2], rule)
        lowest = net.inference[0]
        if lowest.value.lateral.size:
            update_lateral(s.on[1], s.q_errors[0], lowest, how.rates[1], rule, s.work)
        ascend_words(text, t, rows[0], net.centre, lowest, s.q_errors[0], how.rates[1], rule)
        for i in range(1, layers):
            ascend_inference(i, nothing, net.inference[i], s, how.rates[1], rule)
        if input_baseline:
            ascend_words(text, t, rows[1], net.centre, net.hidden[0], s.hidden[0], how.rates[2], rule)
            for i in range(1, layers):
                update(s.on[i], nothing, s.hidden[i], net.hidden[i], how.rates[2], rule, s.work)

    if end == len(text.cases):
        close_rows(rows[0], net.centre, net.inference[0], how)
        if input_baseline:
            close_rows(rows[1], net.centre, net.hidden[0], how)


@jit
def _bound_per_word(lengths, log_p, log_q):
    """The mean over documents of (log P(x, h) - log Q(h | x)) / length, in nats."""
    objective = 0.0
    for b in range(len(lengths)):
        bound = float(log_p[len(log_q), b])
        for i in range(len(log_q)):
            bound += log_p[i, b] - log_q[i, b]
        objective += bound / lengths[b]
    return objective / len(lengths)
