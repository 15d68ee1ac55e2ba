"""Perplexity, of which there are two: the mean over documents and the mean over words are different numbers."""

from __future__ import annotations

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
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: expected at least 2, or there is no standard error")
    generator = stream(seed, "bootstrap")
    drawn = (generator.integers(len(lengths), size=len(lengths)) for _ in range(resamples))
    bootstrap = np.array([_both(log_p[chosen], lengths[chosen]) for chosen in drawn])
    per_document, corpus = _both(log_p, lengths)
    stderr = bootstrap.std(0, ddof=1)
    return Perplexity(per_document, float(stderr[0]), corpus, float(stderr[1]), len(lengths))


def _both(log_p: NDArray[np.float64], lengths: NDArray[np.integer]) -> tuple[float, float]:
    """Per document and of the corpus."""
    return float(np.exp(-(log_p / lengths).mean())), float(np.exp(-log_p.sum() / lengths.sum()))


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
