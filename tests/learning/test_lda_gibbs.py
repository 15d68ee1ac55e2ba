"""A sweep draws every topic from its exact conditional, by the enumerated joint distribution of a tiny corpus."""

from __future__ import annotations

from itertools import product
from math import lgamma

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("numba")

from nvil_repro.data.sequences import Sequences
from nvil_repro.learning.lda_gibbs import random_topics, sweep, word_topics

DOCUMENTS = Sequences(np.array([0, 2, 5]), np.array([0, 1, 1, 1, 2]))
ALPHA, ETA, V, TOKENS = np.array([0.3, 0.9]), 0.2, 3, 5


def log_joint(z: tuple[int, ...]) -> float:
    """log p(w, z), theta and phi integrated out: Griffiths & Steyvers 2004, equations 2 to 4."""
    total = 0.0
    for begin, end in zip(DOCUMENTS.starts[:-1], DOCUMENTS.starts[1:], strict=True):
        counts = np.bincount(z[begin:end], minlength=2) + ALPHA
        total += lgamma(ALPHA.sum()) - lgamma(counts.sum())
        total += sum(lgamma(n) - lgamma(a) for n, a in zip(counts, ALPHA, strict=True))
    for k in range(2):
        counts = (
            np.bincount([w for w, t in zip(DOCUMENTS.words, z, strict=True) if t == k], minlength=V) + ETA
        )
        total += lgamma(V * ETA) - lgamma(counts.sum()) + sum(lgamma(n) - lgamma(ETA) for n in counts)
    return total


def conditional(z: list[int], i: int) -> float:
    """p(z_i = 0 | z_-i, w)."""
    zero, one = (np.exp(log_joint((*z[:i], k, *z[i + 1 :]))) for k in (0, 1))
    return zero / (zero + one)


def swept(z: tuple[int, ...], uniforms: NDArray[np.float64], alpha: NDArray[np.float64] = ALPHA) -> list[int]:
    assignments = np.array(z, np.int32)
    counts = sweep(assignments, DOCUMENTS, V, alpha=alpha, eta=ETA, uniforms=uniforms)
    assert np.array_equal(counts, word_topics(2, V, DOCUMENTS, assignments))
    return assignments.tolist()


def edges(z: tuple[int, ...], path: tuple[int, ...], margin: float) -> NDArray[np.float64]:
    """Uniforms by which a sweep from z must draw `path`, each so far from where the other topic begins."""
    now, uniforms = list(z), np.empty(TOKENS)
    for i, k in enumerate(path):
        border = conditional(now, i)
        uniforms[i] = border - margin if k == 0 else border + margin
        now[i] = k
    return uniforms


def test_a_sweep_draws_each_topic_from_its_conditional() -> None:
    """From every start along every path, with uniforms 1e-10 from where the enumerated conditional divides them."""
    for z, path in product(product((0, 1), repeat=TOKENS), repeat=2):
        assert swept(z, edges(z, path, 1e-10)) == list(path)
    start, path = (0, 1, 0, 1, 1), (0, 0, 1, 1, 0)
    assert swept(start, edges(start, path, -1e-10)) != list(path)  # control: on the other side
    assert swept(start, edges(start, path, 1e-10), ALPHA + np.array([0, 1e-6])) != list(path)


def test_more_topics_than_two_are_drawn_in_proportion() -> None:
    """One word: topics by alpha alone, at the borders of their running sums."""
    alpha, one = np.array([0.5, 0.1, 0.2, 1.2]), Sequences(np.array([0, 1]), np.array([2]))

    def drawn(uniform: float) -> int:
        assignments = np.array([1], np.int32)
        sweep(assignments, one, V, alpha=alpha, eta=ETA, uniforms=np.array([uniform]))
        return int(assignments[0])

    borders = np.cumsum(alpha) / alpha.sum()
    for k in range(4):
        assert drawn((borders[k - 1] if k else 0.0) + 1e-12) == drawn(borders[k] - 1e-12) == k
    assert drawn(borders[1] + 1e-12) != drawn(borders[1] - 1e-12)  # control
    assert drawn(1 - 2**-53) == 3


def test_a_start_is_random_by_its_seed() -> None:
    many = Sequences(np.array([0, 5_000]), np.zeros(5_000, np.int64))
    drawn = random_topics(4, many, 0)
    assert np.bincount(drawn).min() > 1_000
    assert np.array_equal(drawn, random_topics(4, many, 0))
    assert not np.array_equal(drawn, random_topics(4, many, 1))
    assert word_topics(4, 2, many, drawn).tolist() == [np.bincount(drawn).tolist(), [0] * 4]
