"""The left-to-right estimate against the sum over all topics, its expectation over everything it draws."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from nvil_repro.data.counts import from_dense
from nvil_repro.evaluation import left_to_right as module
from nvil_repro.evaluation.left_to_right import LeftToRight, log_prob
from nvil_repro.kernels.left_to_right import particles, run_left_to_right
from nvil_repro.models.lda import Lda

PHI = np.array(
    [[0.7, 0.1], [0.1, 0.9], [0.2, 0.0]]
)  # [V, K]; word 2 has but one topic, which keeps outcomes few
ALPHA = np.array([0.3, 0.8])
MODEL = Lda(torch.from_numpy(10 * PHI.T.copy())[None], torch.from_numpy(ALPHA)[None])


def exact(words: list[int]) -> float:
    """p(words): the sum over all topics of Polya's urn times phi."""
    total = 0.0
    for z in itertools.product(range(len(ALPHA)), repeat=len(words)):
        term, counts = 1.0, ALPHA.copy()
        for word, topic in zip(words, z, strict=True):
            term *= counts[topic] / counts.sum() * PHI[word, topic]
            counts[topic] += 1
        total += term
    return total


Draws = Generator[list[float], float, float]  # yields where the choice changes in (0, 1), is sent a uniform


def choice(weights: np.ndarray) -> Generator[list[float], float, int]:
    edges = np.cumsum(weights / weights.sum())[:-1]
    return int(np.searchsorted(edges, (yield inside(edges)), side="right"))


def inside(edges: np.ndarray) -> list[float]:
    """Those that part the unit interval."""
    return [float(each) for each in np.unique(edges) if 1e-9 < each < 1 - 1e-9]


def by_hand(words: list[int], how: LeftToRight) -> Draws:
    """p-hat, as the algorithm is printed, with particles chosen anew where `how` says so."""
    z: list[list[int]] = [[] for _ in range(how.particles)]
    p_hat = 1.0
    active: list[list[int]] = [
        [] for _ in range(how.particles)
    ]  # each particle's topics, as the kernel keeps them

    def masses(s: int, word: int) -> np.ndarray:
        """Of the active topics, then of all by their prior."""
        seen = [z[s].count(t) * PHI[word, t] for t in active[s]]
        return np.array([*seen, *(ALPHA * PHI[word])])

    def draw(s: int, word: int) -> Generator[list[float], float, int]:
        part = yield from choice(masses(s, word))
        topic = [*active[s], *range(len(ALPHA))][part]
        if topic not in active[s]:
            active[s].append(topic)
        return topic

    def forget(s: int, k: int) -> None:
        topic, z[s][k] = z[s][k], -1
        if topic not in z[s]:
            active[s][active[s].index(topic)] = active[s][-1]
            active[s].pop()

    for i, word in enumerate(words):
        for k, s in itertools.product(range(i * how.sweep), range(how.particles)):
            forget(s, k)
            z[s][k] = yield from draw(s, words[k])
        weights = np.array([masses(s, word).sum() for s in range(how.particles)])
        p_hat *= weights.mean() / (i + ALPHA.sum())
        if i + 1 == len(words):
            return p_hat
        if how.select:
            edges = np.cumsum(weights) / weights.sum() * how.particles
            uniform = yield inside(edges[:-1] % 1)
            chosen = np.searchsorted(edges[:-1], np.arange(how.particles) + uniform, side="right")
            parents = in_place(chosen.tolist())
            z, active = [list(z[c]) for c in parents], [list(active[c]) for c in parents]
        for s in range(how.particles):
            z[s].append((yield from draw(s, word)))
    return p_hat


def in_place(chosen: list[int]) -> list[int]:
    """The survivors where they were: one child of each in its parent's place, the others in those of the dead."""
    spare = [parent for i, parent in enumerate(chosen) if parent in chosen[:i]]
    return [s if s in chosen else spare.pop(0) for s in range(len(chosen))]


def every_outcome(words: list[int], how: LeftToRight) -> Iterator[tuple[float, float, list[float]]]:
    """(probability, p-hat, uniforms from the middle of their boxes) of everything that can be drawn."""
    path: list[int] = []
    while True:
        draws, probability, uniforms, boxes = by_hand(words, how), 1.0, [], []
        try:
            inner = next(draws)
            while True:
                edges = [0.0, *sorted(inner), 1.0]
                if len(uniforms) == len(path):
                    path.append(0)
                at = path[len(uniforms)]
                probability *= edges[at + 1] - edges[at]
                uniforms.append((edges[at] + edges[at + 1]) / 2)
                boxes.append(len(edges) - 1)
                inner = draws.send(uniforms[-1])
        except StopIteration as stop:
            yield probability, stop.value, uniforms
        while path and path[-1] + 1 == boxes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


def compiled(words: list[int], how: LeftToRight, uniforms: list[float]) -> float:
    state = particles(how.particles, len(words), len(ALPHA))
    arguments = (np.array(words), 0, len(words), PHI, ALPHA, PHI * ALPHA, how.sweep, how.select)
    return float(np.exp(run_left_to_right(*arguments, np.array(uniforms), state)))


def expectation(words: list[int], how: LeftToRight) -> float:
    """Of the compiled estimate; each outcome's equals the one by hand, and their probabilities sum to one."""
    mean, total = 0.0, 0.0
    for probability, p_hat, uniforms in every_outcome(words, how):
        found = compiled(words, how, uniforms)
        assert found == pytest.approx(p_hat, rel=1e-12)
        mean += probability * found
        total += probability
    assert total == pytest.approx(1, abs=1e-12)
    return mean


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ([0, 1, 2, 1], LeftToRight(1)),
        ([0, 1, 0], LeftToRight(1, sweep=True)),
        ([0, 1, 0], LeftToRight(1, sweep=True, select=False)),
        ([0, 1, 0], LeftToRight(2)),
        ([2, 1, 0, 0], LeftToRight(2)),
        ([2, 1, 0], LeftToRight(3)),
        ([0, 2, 1], LeftToRight(2, sweep=True)),
    ],
)
def test_its_expectation_is_the_probability(words: list[int], how: LeftToRight) -> None:
    assert expectation(words, how) == pytest.approx(exact(words), abs=1e-10)


def test_particles_that_never_meet_are_biased() -> None:
    """The negative control of the test above, and why particles are selected here."""
    words = [0, 1, 0]
    assert abs(expectation(words, LeftToRight(2, select=False)) / exact(words) - 1) > 1e-3


def test_documents_of_a_length_sum_to_one() -> None:
    words = [list(each) for each in itertools.product(range(3), repeat=3)]
    assert sum(map(exact, words)) == pytest.approx(1, abs=1e-12)
    assert sum(expectation(each, LeftToRight(2)) for each in words) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("sweep", [False, True])
def test_many_particles_come_near(sweep: bool) -> None:
    documents = from_dense(np.array([[2, 1, 0], [0, 1, 0], [3, 2, 3]]))
    found = log_prob(MODEL, documents, LeftToRight(500, sweep, runs=8))
    expected = np.log([exact([0, 0, 1]), exact([1]), exact([0, 0, 0, 1, 1, 2, 2, 2])])
    assert (np.abs(found.log_p - expected) < 5 * found.stderr + 1e-12).all()
    assert found.stderr[1] < 1e-12  # one word: every particle says the same
    assert 0 < found.stderr[2] < 0.05
    rough = log_prob(MODEL, documents, LeftToRight(2, sweep, runs=8))
    assert np.abs(rough.log_p - expected).max() > 0.02  # control


def test_pieces_and_neighbours_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = np.array([[2, 1, 5], [0, 3, 1], [1, 0, 0]])
    for how in (LeftToRight(3, sweep=True, runs=2), LeftToRight(3, select=False, runs=2)):
        whole = log_prob(MODEL, from_dense(dense), how).log_p
        assert log_prob(MODEL, from_dense(dense[:2]), how).log_p.tolist() == whole[:2].tolist()
        assert log_prob(MODEL, from_dense(dense), how, seed=1).log_p.tolist() != whole.tolist()
        with monkeypatch.context() as patch:
            patch.setattr(module, "UNIFORMS", 20)
            assert module._pieces(8, how) != [(0, 8)]
            np.testing.assert_allclose(log_prob(MODEL, from_dense(dense), how).log_p, whole, rtol=1e-14)


def test_what_cannot_be_is_refused() -> None:
    documents = from_dense(np.array([[1, 1, 1]]))
    with pytest.raises(ValueError, match="expected at least one particle and two runs"):
        log_prob(MODEL, documents, LeftToRight(runs=1))
    with pytest.raises(ValueError, match="the documents count 4 words and the model knows 3"):
        log_prob(MODEL, documents._replace(vocabulary=4))
    with pytest.raises(ValueError, match="the model has 2 replicas: expected one"):
        log_prob(Lda(*(torch.cat([part, part]) for part in MODEL)), documents)
