"""Perplexity, of which there are two: the mean over documents and the mean over words are different numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nvil_repro.streams import stream


class Perplexity(NamedTuple):
    """Both perplexities of one set of documents, with their bootstrap standard errors over documents.

    They are of the kind that log p is: bounds from above where that is a bound from below. The standard errors say what
    another sample of documents would change; what the estimate of log p leaves open is not in them.
    """

    per_document: (
        float  # exp(mean_n of -log p_n / L_n): every document weighs the same, as in the paper's Table 3
    )
    per_document_stderr: float
    corpus: (
        float  # exp(-sum_n log p_n / sum_n L_n): every word weighs the same, so long documents count for more
    )
    corpus_stderr: float
    documents: int


def perplexity(log_p: ArrayLike, lengths: ArrayLike, resamples: int = 1000, seed: int = 0) -> Perplexity:
    """Perplexities from log p of each document [N], in nats, and its number of words [N].

    The bootstrap draws N documents with replacement `resamples` times, from the stream (seed, "bootstrap").
    Errors: `ValueError` naming the first document that is empty, whose log p is not finite or is above 0 (a
    probability of words is at most 1), or if there are no documents, fewer than two resamples, or other shapes.
    """
    log_p, lengths = _checked(np.asarray(log_p, np.float64), np.asarray(lengths))
    return _bootstrapped(
        lambda chosen: np.exp(_of_a_word(log_p[chosen], lengths[chosen])),
        [np.arange(len(lengths))],
        resamples,
        seed,
    )


def carried_perplexity(
    log_p: ArrayLike,
    lengths: ArrayLike,
    part: ArrayLike,
    finer: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
) -> Perplexity:
    """The perplexities by a finer measure of log p that is known of a random part of the documents, carried over to all
    of them by a rougher one of each.

    `log_p` [N] is the rougher, `finer` [M] that of the documents `part` [M], by number. To the rougher's mean of
    -log p a word comes the part's mean of what the finer changes: a difference estimate, whose error is small where
    that differs little between documents; with M = N the finer's own perplexities. The bootstrap draws the part and
    the others apart. Errors: as `perplexity`; `ValueError` if the part is empty, or names a document twice or one that
    is not there.
    """
    log_p, lengths = _checked(np.asarray(log_p, np.float64), np.asarray(lengths))
    part = np.asarray(part)
    rest = np.setdiff1d(np.arange(len(lengths)), part)
    if not len(part) or len(part) + len(rest) != len(lengths):
        raise ValueError(
            f"a part of {len(part)} documents, numbered {part}: expected different ones of the {len(lengths)}"
        )
    finer, _ = _checked(np.asarray(finer, np.float64), lengths[part])
    gain = np.zeros_like(log_p)
    gain[part] = finer - log_p[part]

    def both(within: NDArray[np.integer], without: NDArray[np.integer]) -> NDArray[np.float64]:
        everyone = np.concatenate([within, without])
        rough = _of_a_word(log_p[everyone], lengths[everyone])
        return np.exp(rough + _of_a_word(gain[within], lengths[within]))

    return _bootstrapped(both, [part, rest], resamples, seed)


def _of_a_word(log_p: NDArray[np.float64], lengths: NDArray[np.integer]) -> NDArray[np.float64]:
    """Means of -log p a word: over documents, and over the words of them all."""
    return -np.array([(log_p / lengths).mean(), log_p.sum() / lengths.sum()])


def _bootstrapped(
    both: Callable[..., NDArray[np.float64]],
    strata: list[NDArray[np.integer]],
    resamples: int,
    seed: int,
) -> Perplexity:
    """Both perplexities of the documents in several strata, drawn anew within each for the standard errors."""
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: expected at least 2, or there is no standard error")
    generator = stream(seed, "bootstrap")
    drawn = ([generator.choice(some, len(some)) for some in strata] for _ in range(resamples))
    per_document_stderr, corpus_stderr = np.array([both(*chosen) for chosen in drawn]).std(0, ddof=1).tolist()
    per_document, corpus = both(*strata).tolist()
    return Perplexity(per_document, per_document_stderr, corpus, corpus_stderr, sum(map(len, strata)))


def _checked(
    log_p: NDArray[np.float64], lengths: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    if log_p.ndim != 1 or log_p.shape != lengths.shape or not len(lengths):
        raise ValueError(
            f"log_p has shape {log_p.shape} and lengths {lengths.shape}: expected one of each for every document"
        )
    problems = (
        (lengths < 1, lengths, "words: expected at least one; drop empty documents and count them"),
        (~np.isfinite(log_p), log_p, "nats of log p: expected a finite number; has the model diverged?"),
        (log_p > 0, log_p, "nats of log p: expected at most 0; is it a density, or of other documents?"),
    )
    for wrong, values, what in problems:
        if wrong.any():
            raise ValueError(f"document {wrong.argmax()} has {values[wrong.argmax()]} {what}")
    return log_p, lengths
