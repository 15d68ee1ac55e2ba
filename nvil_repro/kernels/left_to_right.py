"""The left-to-right estimate of p(document) under LDA, compiled; see `evaluation.left_to_right`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nvil_repro.kernels.jit import entry, jit


class Particles(NamedTuple):
    """S guesses of the topics of the words read so far."""

    topics: np.ndarray  # int64 [S, n]: z
    counts: np.ndarray  # [S, K]: how many words have each topic
    active: np.ndarray  # int64 [S, K]: the topics that have any, a few of the K, come first
    number: np.ndarray  # int64 [S]: of active topics
    masses: np.ndarray  # [S, K]: running sums over active topics of counts_t phi_{t, w}, of the word to come
    weights: np.ndarray  # [S]: sum_t (counts_t + alpha_t) phi_{t, w}
    offspring: np.ndarray  # int64 [S]


def particles(number: int, words: int, topics: int) -> Particles:
    """Of a document none of whose words is read yet."""
    return Particles(
        np.zeros((number, words), np.int64),
        np.zeros((number, topics)),
        np.zeros((number, topics), np.int64),
        np.zeros(number, np.int64),
        np.empty((number, topics)),
        np.empty(number),
        np.empty(number, np.int64),
    )


@entry
def run_left_to_right(words, begin, end, phi, alpha, prior, sweep, select, uniforms, p):
    """Read words begin .. end - 1 of words [n]; the log of the product of their estimated probabilities, in nats.

    phi [V, K]; prior [V, K] is alpha_t phi_{t, w}; uniforms: for every word first, if `sweep`, one for each word before
    it and particle, then, unless it is the document's last, one if `select` and one for each particle.
    """
    used, log_p, total, number = 0, 0.0, alpha.sum(), p.number.shape[0]
    for i in range(begin, end):
        if sweep:
            for k in range(i):
                remove(p, k)
                weigh(p, phi[words[k]], prior[words[k]])
                assign(p, k, prior[words[k]], uniforms[used : used + number])
                used += number
        weigh(p, phi[words[i]], prior[words[i]])
        log_p += math.log(p.weights.mean() / (i + total))
        if i + 1 == words.shape[0]:
            break
        if select:
            breed(p, uniforms[used])
            survive(p, i, sweep)
            used += 1
        assign(p, i, prior[words[i]], uniforms[used : used + number])
        used += number
    return log_p


# Each function below goes through all particles: a call with so many arrays costs more than a particle's share of work.


@jit
def weigh(p, phi, prior):
    """Running sums of the active topics' masses of a word with phi [K], and the weights."""
    fresh = prior.sum()
    for s in range(p.number.shape[0]):
        running = 0.0
        for j in range(p.number[s]):
            t = p.active[s, j]
            running += p.counts[s, t] * phi[t]
            p.masses[s, j] = running
        p.weights[s] = running + fresh


@jit
def assign(p, k, prior, uniforms):
    """Word k gets a topic in proportion to its mass: the active ones come first, then all by their prior masses."""
    for s in range(p.number.shape[0]):
        target, n, j = uniforms[s] * p.weights[s], p.number[s], 0
        while j < n and p.masses[s, j] <= target:
            j += 1
        if j < n:
            t = p.active[s, j]
        else:
            t, running = 0, prior[0] + (p.masses[s, n - 1] if n else 0.0)
            while t < prior.shape[0] - 1 and running <= target:
                t += 1
                running += prior[t]
        if p.counts[s, t] == 0:
            p.active[s, n] = t
            p.number[s] += 1
        p.topics[s, k] = t
        p.counts[s, t] += 1


@jit
def remove(p, k):
    """Word k has no topic any more."""
    for s in range(p.number.shape[0]):
        t = p.topics[s, k]
        p.counts[s, t] -= 1
        if p.counts[s, t] == 0:
            p.number[s] -= 1
            j = 0
            while p.active[s, j] != t:
                j += 1
            p.active[s, j] = p.active[s, p.number[s]]


@jit
def breed(p, uniform):
    """Particles have offspring in proportion to their weights, by systematic resampling."""
    number, total, running, placed = p.weights.shape[0], p.weights.sum(), 0.0, 0
    for s in range(number):
        running += p.weights[s]
        before = placed
        while placed < number and (placed + uniform) * total < running * number:
            placed += 1
        p.offspring[s] = placed - before
    p.offspring[number - 1] += number - placed  # what rounding left


@jit
def survive(p, read, history):
    """Those without offspring become copies of those with more than one.

    Their topics word by word, `history`, matter only where words are drawn anew.
    """
    parent = 0
    for s in range(p.offspring.shape[0]):
        if p.offspring[s]:
            continue
        while p.offspring[parent] < 2:
            parent += 1
        p.offspring[parent] -= 1
        for j in range(p.number[s]):
            p.counts[s, p.active[s, j]] = 0
        p.number[s], p.weights[s] = p.number[parent], p.weights[parent]
        for j in range(p.number[s]):
            t = p.active[parent, j]
            p.active[s, j], p.masses[s, j], p.counts[s, t] = t, p.masses[parent, j], p.counts[parent, t]
        if history:
            for k in range(read):
                p.topics[s, k] = p.topics[parent, k]
