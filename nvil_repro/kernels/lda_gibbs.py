"""A sweep of collapsed Gibbs sampling for LDA, compiled; see `learning.lda_gibbs`."""

from __future__ import annotations

import numpy as np

from nvil_repro.kernels.jit import entry, jit


@entry
def run_sweep(starts, words, assignments, counts, alpha, eta, uniforms):
    """Draw the topic of word after word, document after document, in place: `assignments` int32 [n] and `counts`
    [V, K], float64, how often a word has a topic. alpha [K]; uniforms [n].
    """
    vocabulary, number = counts.shape
    totals = counts.sum(0)
    scale = 1 / (totals + vocabulary * eta)
    here, masses = np.empty(number), np.empty(number)
    for d in range(starts.shape[0] - 1):
        here[:] = alpha
        for i in range(starts[d], starts[d + 1]):
            here[assignments[i]] += 1
        for i in range(starts[d], starts[d + 1]):
            row = counts[words[i]]
            move(assignments[i], -1, row, here, totals, scale, vocabulary * eta)
            for k in range(number):
                masses[k] = here[k] * (row[k] + eta) * scale[k]
            assignments[i] = drawn(masses, uniforms[i])
            move(assignments[i], 1, row, here, totals, scale, vocabulary * eta)


@jit
def move(k, change, row, here, totals, scale, smoothing):
    """A word more, or less, has topic k."""
    row[k] += change
    here[k] += change
    totals[k] += change
    scale[k] = 1 / (totals[k] + smoothing)


@jit
def drawn(masses, uniform):
    """A topic in proportion to its mass; the masses become their running sums."""
    running = 0.0
    for k in range(masses.shape[0]):
        running += masses[k]
        masses[k] = running
    target, first, last = uniform * running, 0, masses.shape[0] - 1
    while first < last:
        middle = (first + last) // 2
        if masses[middle] > target:
            last = middle
        else:
            first = middle + 1
    return first
