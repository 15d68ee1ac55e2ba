"""An RBM's step along the contrast of its two phases, compiled: steps 2 to 6 of `training.unnormalised_plan`.

A row of W is moved as soon as its slope is known and written to every copy of it, so that no gradient matrix is ever
formed. Everything takes s, a `rbm_replica.Replica`.
"""

from __future__ import annotations

from nvil_repro.kernels.ascent import ascend, rule_at
from nvil_repro.kernels.jit import entry, jit
from nvil_repro.kernels.nade import clear, dot
from nvil_repro.kernels.products import add_rows
from nvil_repro.kernels.rbm_gibbs import LINE
from nvil_repro.kernels.rbm_phases import PARTS, share


@entry
def run_slopes(s):
    """The biases' slopes, the lists by unit, and the offsets, if there are any, a step nearer to the cases' means."""
    gather(s.positive)
    gather(s.negative)
    b, c, (mu, lam), rate = s.slope.visible_bias[0], s.slope.hidden_bias, s.offsets, s.how.offset_rate
    cases, chains = len(s.positive.log_p), len(s.negative.log_p)
    for j in range(len(b)):
        b[j] = s.positive.cases_on[j] / cases
    clear(c)
    add_mean(s.positive.h, c, 1)
    if len(mu):
        approach(mu, b, rate)
        approach(lam, c[0], rate)
    for j in range(len(b)):
        b[j] -= s.negative.cases_on[j] / chains
    add_mean(s.negative.h, c, -1)
    if s.how.fixed[1]:
        clear(s.slope.visible_bias)
    if s.how.fixed[2]:
        clear(c)


@jit
def gather(phase):
    """The lists by unit, from those by case."""
    for j in range(len(phase.cases_on)):
        phase.cases_on[j] = 0
    for n in range(len(phase.x.on)):
        for i in range(phase.x.on[n]):
            j = phase.x.units[n, i]
            phase.cases[j, phase.cases_on[j]] = n
            phase.cases_on[j] += 1


@jit
def add_mean(rows, out, sign):
    """out [1, H] += sign times the mean of rows [N, >= H]."""
    scale = out.dtype.type(sign / rows.shape[0])
    for n in range(rows.shape[0]):
        for k in range(out.shape[1]):
            out[0, k] += scale * rows[n, k]


@jit
def approach(offsets, means, rate):
    """offsets += rate (means - offsets)."""
    for k in range(len(offsets)):
        offsets[k] += rate * (means[k] - offsets[k])


@entry
def run_rows(s, t, update, first, last):
    """Move the rows of W in parts first..last, at the rate of t; what the biases owe to it goes to `s.owed`."""
    rule, rate = rule_at(s.how.kind, s.how.constants, update), s.how.rates[t]
    visible = s.model.up.shape[0]
    for part in range(first, last):
        owed, desk = s.owed[part], s.desks[part]
        clear(owed.hidden)
        clear(owed.fast_hidden)
        begin, end = share(part, (visible + LINE - 1) // LINE)
        for line in range(begin, end):
            top, bottom = line * LINE, min((line + 1) * LINE, visible)
            for j in range(top, bottom):
                move_row(j, s, owed, desk, rate, rule)
            transpose(s.sampler, top, bottom)


@jit
def move_row(j, s, owed, desk, rate, rule):
    """Row j of W, and of the fast weights if there are any."""
    value, first, second, fast = s.trained
    slope, lost, width = desk.logits, desk.uniforms, value.weight.shape[1]
    slope_row(j, s, slope)
    if fast.weight.size:
        for k in range(width):
            fast.weight[j, k] = s.how.fast_decay * fast.weight[j, k] + s.how.fast_rate * slope[0, k]
        owe(j, s.offsets, slope, owed.fast_visible, owed.fast_hidden, desk)
    for k in range(width):
        lost[k] = rate * s.how.weight_decay * value.weight[j, k]
        value.weight[j, k] -= lost[k]
    ascend(value.weight, j, j + 1, slope, first.weight, second.weight, slope[:0], rate, rule)
    for k in range(width):
        slope[0, k] -= lost[k]
        s.model.up[j, k] = value.weight[j, k]
    owe(j, s.offsets, slope, owed.visible, owed.hidden, desk)
    if fast.weight.size:
        for k in range(width):
            s.sampler.up[j, k] = value.weight[j, k] + fast.weight[j, k]


@jit
def slope_row(j, s, out):
    """out [1, >= H] = the slope of W_j: the mean of x_j h over cases less that over chains; the centred machine's."""
    (mu, lam), width = s.offsets, s.positive.h.shape[1]
    for k in range(width):
        out[0, k] = 0
    if not s.how.fixed[0]:
        add_row(s.negative, j, out[:, :width], -len(s.positive.log_p) / len(s.negative.log_p))
        add_row(s.positive, j, out[:, :width], 1 / len(s.positive.log_p))
    if len(mu):
        slope_b, slope_c = s.slope.visible_bias[0, j], s.slope.hidden_bias[0]
        for k in range(len(lam)):
            out[0, k] -= mu[j] * slope_c[k] + slope_b * lam[k]


@jit
def add_row(phase, j, out, scale):
    """out [1, H] plus the sum of h over the cases with x_j on, times scale."""
    add_rows(out, 0, phase.h, phase.cases[j : j + 1], phase.cases_on[j])
    factor = out.dtype.type(scale)
    for k in range(out.shape[1]):
        out[0, k] *= factor


@jit
def owe(j, offsets, step, visible, hidden, desk):
    """What a centred step [1, H] of W_j takes from the biases: from b_j its product with lambda, from c mu_j of it."""
    mu, lam = offsets
    if len(mu):
        visible[0, j] = dot(step[0, : len(lam)], lam, desk.work[0])
        for k in range(len(lam)):
            hidden[0, k] += mu[j] * step[0, k]


@jit
def transpose(w, top, bottom):
    """Rows top..bottom, of one cache line each, into columns."""
    for k in range(w.down.shape[0]):
        for j in range(top, bottom):
            w.down[k, j] = w.up[j, k]


@entry
def run_biases(s, t, update):
    """Move both biases; returns the free-energy gap, mean log p*(x) of the cases less that of the chains' ends."""
    value, first, second, fast = s.trained
    rule, rate, slope, owed = rule_at(s.how.kind, s.how.constants, update), s.how.rates[t], s.slope, s.owed[0]
    for part in range(1, PARTS):
        add(owed.hidden, s.owed[part].hidden, 1)
        add(owed.fast_hidden, s.owed[part].fast_hidden, 1)
    if fast.weight.size:
        follow(fast.visible_bias, slope.visible_bias, owed.fast_visible, s.how)
        follow(fast.hidden_bias, slope.hidden_bias, owed.fast_hidden, s.how)
    nothing = slope.hidden_bias[:0]
    ascend(
        value.visible_bias,
        0,
        1,
        slope.visible_bias,
        first.visible_bias,
        second.visible_bias,
        nothing,
        rate,
        rule,
    )
    ascend(
        value.hidden_bias, 0, 1, slope.hidden_bias, first.hidden_bias, second.hidden_bias, nothing, rate, rule
    )
    add(value.visible_bias, owed.visible, -1)
    add(value.hidden_bias, owed.hidden, -1)
    show(value.visible_bias, fast.visible_bias, s.model.visible_bias, s.sampler.visible_bias)
    show(value.hidden_bias, fast.hidden_bias, s.model.hidden_bias, s.sampler.hidden_bias)
    return s.positive.log_p.mean() - s.negative.log_p.mean()


@jit
def add(row, other, sign):
    """row [1, K] += sign times the other."""
    for k in range(row.shape[1]):
        row[0, k] += row.dtype.type(sign) * other[0, k]


@jit
def follow(fast, slope, owed, how):
    """A bias [1, K] of the fast weights fades and follows its slope, taken back to the ordinary machine's."""
    for k in range(fast.shape[1]):
        fast[0, k] = how.fast_decay * fast[0, k] + how.fast_rate * (slope[0, k] - owed[0, k])


@jit
def show(bias, fast, model, sampler):
    """A bias [1, K] to where cases and chains read it, the latter with the fast one, if there is any."""
    for k in range(bias.shape[1]):
        model[k] = bias[0, k]
    for k in range(fast.shape[1]):
        sampler[k] = bias[0, k] + fast[0, k]
