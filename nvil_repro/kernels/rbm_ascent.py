"""An RBM's step along the contrast of its two phases, compiled: steps 2 to 6 of `training.unnormalised_plan`.

A row of W moves as soon as its slope is known and is written to every copy of it, so that no gradient matrix is ever
formed. s is a `rbm_replica.Replica`; rows are [1, K], or wider where they are padded.
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
    """The biases' slopes, where each visible unit is on, and offsets, if there are any, nearer to the cases' means."""
    phases, (mu, lam), rate = s.phases, s.offsets, s.how.offset_rate
    b, c, cases = s.slope.visible_bias, s.slope.hidden_bias, len(phases.cases.on)
    clear(b)
    clear(c)
    for j in range(len(phases.rows_on)):
        phases.rows_on[j] = 0
    count(phases.cases, 0, 1 / cases, phases.rows, phases.rows_on, b)
    sum_up(phases.h, 0, cases, c)
    if len(mu):
        approach(mu, b, rate)
        approach(lam, c, rate)
    count(phases.chains, cases, -1 / len(phases.chains.on), phases.rows, phases.rows_on, b)
    sum_up(phases.h, cases, len(phases.h), c)


@jit
def count(x, offset, weight, rows, rows_on, slope):
    """List each case, by its number plus `offset`, with the units that are on; their slopes gain `weight`."""
    for n in range(len(x.on)):
        for i in range(x.on[n]):
            j = x.units[n, i]
            rows[j, rows_on[j]] = offset + n
            rows_on[j] += 1
            slope[0, j] += slope.dtype.type(weight)


@jit
def sum_up(rows, begin, end, out):
    """out += the rows begin..end."""
    for n in range(begin, end):
        add(out, rows[n : n + 1], 1)


@jit
def approach(offsets, means, rate):
    """offsets [K] += rate (means - offsets)."""
    for k in range(len(offsets)):
        offsets[k] += rate * (means[0, k] - offsets[k])


@entry
def run_rows(s, t, update, first, last):
    """Move the rows of W in parts first..last, at the rate of t; what the biases owe to it goes to `s.owed`."""
    value, above, mu, lam = s.trained.value.weight, s.trained.fast.weight, s.offsets.visible, s.offsets.hidden
    rule, rate, visible = rule_at(s.how.kind, s.how.constants, update), s.how.rates[t], value.shape[0]
    decay = rate * s.how.weight_decay
    for part in range(first, last):
        owed, row, lost, terms = s.owed[part], s.rows[part][0:1], s.rows[part][1:2], s.desks[part].work[0]
        clear(owed.hidden)
        clear(owed.fast_hidden)
        begin, end = share(part, (visible + LINE - 1) // LINE)
        for line in range(begin, end):
            top, bottom = line * LINE, min((line + 1) * LINE, visible)
            for j in range(top, bottom):
                clear(row)
                add_rows(row, 0, s.phases.h, s.phases.rows[j : j + 1], s.phases.rows_on[j])
                centre(row, j, s.slope.visible_bias, s.slope.hidden_bias, mu, lam)
                follow(above[j : j + 1], row, s.how.fast_rate, s.how.fast_decay)
                owe(row, j, mu, lam, owed.fast_visible, owed.fast_hidden, terms)
                if decay != 0:
                    shrink(value[j : j + 1], decay, lost)
                ascend(value, j, j + 1, row, s.trained.first.weight, s.trained.second.weight, rate, rule)
                if decay != 0:
                    add(row, lost, -1)
                owe(row, j, mu, lam, owed.visible, owed.hidden, terms)
                show(value[j : j + 1], above[j : j + 1], s.model.up[j], s.sampler.up[j])
            transpose(s.sampler.up, s.sampler.down, top, bottom)


@jit
def centre(slope, j, slope_b, slope_c, mu, lam):
    """The slope of W_j of the machine centred by these offsets, if there are any."""
    if len(mu):
        for k in range(len(lam)):
            slope[0, k] -= mu[j] * slope_c[0, k] + slope_b[0, j] * lam[k]


@jit
def owe(step, j, mu, lam, visible, hidden, terms):
    """What a centred step of W_j takes from the biases: from b_j its product with lambda, from c mu_j of it."""
    if len(mu):
        visible[0, j] = dot(step[0, : len(lam)], lam, terms)
        for k in range(len(lam)):
            hidden[0, k] += mu[j] * step[0, k]


@jit
def follow(fast, slope, rate, decay):
    """Fast weights fade and follow a slope."""
    for k in range(fast.shape[1]):
        fast[0, k] = decay * fast[0, k] + rate * slope[0, k]


@jit
def shrink(row, factor, lost):
    """Take `factor` of a row off it; it is `lost`."""
    for k in range(row.shape[1]):
        lost[0, k] = factor * row[0, k]
        row[0, k] -= lost[0, k]


@jit
def add(row, other, factor):
    """row += factor times the other."""
    f = row.dtype.type(factor)
    for k in range(row.shape[1]):
        row[0, k] += f * other[0, k]


@jit
def show(value, above, model, sampler):
    """Parameters [1, K] to where sums read them [K]; chains see them with their fast ones, if there are any."""
    for k in range(value.shape[1]):
        model[k] = value[0, k]
    for k in range(above.shape[1]):
        sampler[k] = value[0, k] + above[0, k]


@jit
def transpose(up, down, top, bottom):
    """Rows top..bottom, together a cache line of each column, into columns."""
    for k in range(down.shape[0]):
        for j in range(top, bottom):
            down[k, j] = up[j, k]


@entry
def run_biases(s, t, update):
    """Move both biases; returns the free-energy gap, mean log p*(x) of the cases less that of the chains' ends."""
    value, first, second, fast = s.trained
    how, slope, owed = s.how, s.slope, s.owed[0]
    for part in range(1, PARTS):
        add(owed.hidden, s.owed[part].hidden, 1)
        add(owed.fast_hidden, s.owed[part].fast_hidden, 1)
    follow(fast.visible_bias, slope.visible_bias, how.fast_rate, how.fast_decay)
    follow(fast.hidden_bias, slope.hidden_bias, how.fast_rate, how.fast_decay)
    add(fast.visible_bias, owed.fast_visible, -how.fast_rate)
    add(fast.hidden_bias, owed.fast_hidden, -how.fast_rate)
    rule, rate = rule_at(how.kind, how.constants, update), how.rates[t]
    ascend(
        value.visible_bias,
        0,
        1,
        slope.visible_bias,
        first.visible_bias,
        second.visible_bias,
        rate,
        rule,
    )
    ascend(value.hidden_bias, 0, 1, slope.hidden_bias, first.hidden_bias, second.hidden_bias, rate, rule)
    add(value.visible_bias, owed.visible, -1)
    add(value.hidden_bias, owed.hidden, -1)
    show(value.visible_bias, fast.visible_bias, s.model.visible_bias, s.sampler.visible_bias)
    show(value.hidden_bias, fast.hidden_bias, s.model.hidden_bias, s.sampler.hidden_bias)
    cases = len(s.phases.cases.on)
    return s.phases.log_p[:cases].mean() - s.phases.log_p[cases:].mean()
