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
    used, log_p, total = 0, 0.0, alpha.sum()
    for i in range(begin, end):
        if sweep:
            for k in range(i):
                row = prior[words[k]]
                fresh = row.sum()
                for s in range(p.number.shape[0]):
                    remove(p, s, p.topics[s, k])
                    weigh(p, s, phi[words[k]], fresh)
                    add(p, s, k, draw(p, s, row, uniforms[used]))
                    used += 1
        row = prior[words[i]]
        fresh = row.sum()
        for s in range(p.number.shape[0]):
            weigh(p, s, phi[words[i]], fresh)
        log_p += math.log(p.weights.mean() / (i + total))
        if i + 1 == words.shape[0]:
            break
        if select:
            survive(p, i, sweep, uniforms[used])
            used += 1
        for s in range(p.number.shape[0]):
            add(p, s, i, draw(p, s, row, uniforms[used]))
            used += 1
    return log_p


@jit
def weigh(p, s, phi, fresh):
    """Running sums of the active topics' masses of a word with phi [K], and the weight; `fresh` sums prior masses."""
    running = 0.0
    for j in range(p.number[s]):
        t = p.active[s, j]
        running += p.counts[s, t] * phi[t]
        p.masses[s, j] = running
    p.weights[s] = running + fresh


@jit
def draw(p, s, prior, uniform):
    """A topic in proportion to its mass: the active ones first, then all by their prior masses."""
    target, last = uniform * p.weights[s], p.number[s] - 1
    if last >= 0 and target < p.masses[s, last]:
        j = 0
        while p.masses[s, j] <= target:
            j += 1
        return p.active[s, j]
    if last >= 0:
        target -= p.masses[s, last]
    t, running = 0, prior[0]
    while t < prior.shape[0] - 1 and running <= target:
        t += 1
        running += prior[t]
    return t


@jit
def add(p, s, k, topic):
    """Word k of particle s has this topic."""
    if p.counts[s, topic] == 0:
        p.active[s, p.number[s]] = topic
        p.number[s] += 1
    p.topics[s, k] = topic
    p.counts[s, topic] += 1


@jit
def remove(p, s, topic):
    """A word of particle s has this topic no more."""
    p.counts[s, topic] -= 1
    if p.counts[s, topic] == 0:
        p.number[s] -= 1
        j = 0
        while p.active[s, j] != topic:
            j += 1
        p.active[s, j] = p.active[s, p.number[s]]


@jit
def survive(p, read, history, uniform):
    """Particles have offspring in proportion to their weights, by systematic resampling; the dead are replaced.

    Their topics word by word, `history`, matter only where words are drawn anew.
    """
    number, total, running, placed = p.weights.shape[0], p.weights.sum(), 0.0, 0
    for s in range(number):
        running += p.weights[s]
        before = placed
        while placed < number and (placed + uniform) * total < running * number:
            placed += 1
        p.offspring[s] = placed - before
    p.offspring[number - 1] += number - placed  # what rounding left
    parent = 0
    for s in range(number):
        if p.offspring[s]:
            continue
        while p.offspring[parent] < 2:
            parent += 1
        p.offspring[parent] -= 1
        replace(p, s, parent)
        if history:
            for k in range(read):
                p.topics[s, k] = p.topics[parent, k]


@jit
def replace(p, s, parent):
    """What particle s knows of the topics' counts becomes what `parent` does."""
    for j in range(p.number[s]):
        p.counts[s, p.active[s, j]] = 0
    p.number[s], p.weights[s] = p.number[parent], p.weights[parent]
    for j in range(p.number[s]):
        t = p.active[parent, j]
        p.active[s, j], p.masses[s, j], p.counts[s, t] = t, p.masses[parent, j], p.counts[parent, t]
