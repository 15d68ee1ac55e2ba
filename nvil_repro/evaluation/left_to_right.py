"""log p(document) under LDA, left to right (Wallach, Murray, Salakhutdinov & Mimno 2009, Algorithm 3).

p(w_1 .. w_n) = prod_i p(w_i | w_<i). S particles, guesses of the topics of the words read, give each factor as the mean
of p(w_i | z_<i) over particles; then each draws z_i from p(z_i | w_i, z_<i). With a `sweep` each first draws the topics
of all earlier words anew (Gibbs), at a cost that grows with the square of the length.

In the paper the particles never meet. For S = 1 the product is then unbiased, but for more the product of means is not:
its particles are not weighed by how well they have foretold w_<i. With `select` they are, by resampling them in
proportion to p(w_i | z_<i), which makes a particle filter, unbiased for p for any S, with or without sweeps. log p-hat
is on average below log p (Jensen), by about half its variance: perplexities err upwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts
from nvil_repro.data.sequences import Sequences, sequences
from nvil_repro.models.lda import Lda, topics
from nvil_repro.streams import stream

UNIFORMS = 1 << 20  # drawn at once, unless one word needs more


class LeftToRight(NamedTuple):
    """How to estimate. Perplexities of 20 Newsgroups come out two percent higher with 20 particles, half with 100."""

    particles: int = 500
    sweep: bool = False
    select: bool = True
    runs: int = 4  # independent ones, whose mean is the estimate and whose spread its error


class LogProbability(NamedTuple):
    """Estimates for N documents, in nats, and their standard errors of sampling."""

    log_p: NDArray[np.float64]  # [N]: log of the mean over runs
    stderr: NDArray[np.float64]  # [N]


def log_prob(model: Lda, documents: Counts, how: LeftToRight | None = None, seed: int = 0) -> LogProbability:
    """log p of the words of each document in one order (each has the same), no multinomial coefficient.

    `model` has one replica. Document n is read in an order, and its particles drawn, from the stream (seed,
    "left-to-right", n): no number depends on the documents around it.
    Errors: `ValueError` if the model has more replicas or another vocabulary, or `how` less than one particle or two
    runs; `ImportError` without numba.
    """
    how = how or LeftToRight()
    if how.particles < 1 or how.runs < 2:
        raise ValueError(f"{how}: expected at least one particle and two runs, whose spread is the error")
    if len(model.alpha) != 1:
        raise ValueError(f"the model has {len(model.alpha)} replicas: expected one; see `trees.view`")
    if documents.vocabulary != model.dirichlet.shape[-1]:
        raise ValueError(
            f"the documents count {documents.vocabulary:,} words and the model knows {model.dirichlet.shape[-1]:,}: "
            "expected the same; build both from one corpus"
        )
    phi, alpha = np.ascontiguousarray(topics(model)[0].numpy().T), model.alpha[0].numpy()
    read: Sequences = sequences(documents)
    each = [
        _runs(read.words[begin:end], phi, alpha, how, stream(seed, "left-to-right", n))
        for n, (begin, end) in enumerate(zip(read.starts[:-1], read.starts[1:], strict=True))
    ]
    logs = np.array(each).reshape(len(each), how.runs)
    ratio = np.exp(logs - logs.max(-1, keepdims=True, initial=-np.inf))
    mean = ratio.mean(-1)
    stderr = ratio.std(-1, ddof=1) / mean / np.sqrt(how.runs)
    return LogProbability(logs.max(-1, initial=-np.inf) + np.log(mean), stderr)


def _runs(
    words: NDArray[np.int64],
    phi: NDArray[np.float64],
    alpha: NDArray[np.float64],
    how: LeftToRight,
    generator: np.random.Generator,
) -> list[float]:
    """log p-hat of one document, `how.runs` times, each in an order of its own."""
    from nvil_repro.kernels.left_to_right import particles, run_left_to_right

    prior = phi * alpha
    result = []
    for _ in range(how.runs):
        order, state, log_p = (
            generator.permutation(words),
            particles(how.particles, len(words), len(alpha)),
            0.0,
        )
        for begin, end in _pieces(len(words), how):
            uniforms = generator.random(_needed(begin, end, how))
            log_p += run_left_to_right(
                order, begin, end, phi, alpha, prior, how.sweep, how.select, uniforms, state
            )
        result.append(log_p)
    return result


def _needed(begin: int, end: int, how: LeftToRight) -> int:
    """Uniforms for words begin .. end - 1."""
    swept = how.sweep * how.particles * (end * (end - 1) - begin * (begin - 1)) // 2
    return swept + (end - begin) * (how.particles + how.select)


def _pieces(length: int, how: LeftToRight) -> list[tuple[int, int]]:
    """The words in pieces that need at most about `UNIFORMS`."""
    pieces, begin = [], 0
    for end in range(1, length + 1):
        if end == length or _needed(begin, end + 1, how) > UNIFORMS:
            pieces.append((begin, end))
            begin = end
    return pieces
