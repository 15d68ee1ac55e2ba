"""Collapsed Gibbs sampling for LDA (Griffiths & Steyvers 2004).

With theta and phi integrated out, the topic z_i of word w_i in document d, given all other words' topics, has

    p(z_i = k | z_-i, w)  proportional to  (n_dk + alpha_k) (n_kw + eta) / (n_k + V eta),

n_dk the words of the document with topic k, n_kw how often word w_i has it anywhere, n_k = sum_w n_kw, all without word
i (their equation 5). Given z, phi_k is Dirichlet(eta + n_k.).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.sequences import Sequences
from nvil_repro.streams import stream

NAME = "lda gibbs"


def random_topics(topics: int, documents: Sequences, seed: int) -> NDArray[np.int32]:
    """A topic for every word, each as probable: [tokens]."""
    return stream(seed, f"{NAME}/start").integers(topics, size=len(documents.words), dtype=np.int32)


def word_topics(
    topics: int, vocabulary: int, documents: Sequences, assignments: NDArray[np.int32]
) -> NDArray[np.float64]:
    """How often each word has each topic: [V, K]."""
    pairs = documents.words * topics + assignments
    return np.bincount(pairs, minlength=vocabulary * topics).astype(np.float64).reshape(vocabulary, topics)


def sweep(
    assignments: NDArray[np.int32],
    documents: Sequences,
    vocabulary: int,
    *,
    alpha: NDArray[np.float64],
    eta: float,
    uniforms: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Draw every word's topic once, in place, with its uniform [tokens]; `word_topics` thereafter: [V, K].

    alpha: [K]. Errors: `ImportError` without numba.
    """
    from nvil_repro.kernels.lda_gibbs import run_sweep

    counts = word_topics(len(alpha), vocabulary, documents, assignments)
    run_sweep(documents.starts, documents.words, assignments, counts, alpha, eta, uniforms)
    return counts
