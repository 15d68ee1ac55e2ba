"""Online variational Bayes for LDA (Hoffman, Blei & Bach 2010), a minibatch at a time, by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.counts import Counts
from nvil_repro.streams import stream


def online_update(
    dirichlet: NDArray[np.float64],
    documents: Counts,
    *,
    alpha: float,
    eta: float,
    total: int,
    share: tuple[float, float],
    steps: int,
    seed: int,
    update: int,
) -> NDArray[np.float64]:
    """lambda [K, V] after update number `update`, from 0; the one before is left as it is.

    lambda' = (1 - rho) lambda + rho (eta + total / N sum_n E[counts_n of topics and words]), rho = (offset + t)^-decay,
    t = update + 1, `share` = (decay, offset). The topics of the N documents are inferred in at most `steps` rounds from
    a start drawn from the stream (seed, "lda", update). scikit-learn is handed all the state it would keep.
    """
    from scipy.special import digamma
    from sklearn.decomposition import LatentDirichletAllocation

    topics, (decay, offset) = len(dirichlet), share
    model = LatentDirichletAllocation(
        topics,
        doc_topic_prior=alpha,
        topic_word_prior=eta,
        learning_decay=decay,
        learning_offset=offset,
        batch_size=documents.documents,
        total_samples=total,
        max_doc_update_iter=steps,
    )
    model.components_ = dirichlet.copy()
    row = dirichlet.sum(-1, keepdims=True)
    model.exp_dirichlet_component_ = np.exp(digamma(dirichlet) - digamma(row))
    model.doc_topic_prior_, model.topic_word_prior_ = alpha, eta
    model.n_batch_iter_, model.n_iter_, model.n_features_in_ = update + 1, 0, documents.vocabulary
    model.random_state_ = np.random.RandomState(stream(seed, "lda", update).integers(2**32, dtype=np.uint32))
    return model.partial_fit(csr(documents)).components_


def csr(documents: Counts) -> Any:
    """The counts as a scipy matrix [N, V], float64."""
    from scipy.sparse import csr_matrix

    shape = (documents.documents, documents.vocabulary)
    return csr_matrix((documents.counts.astype(np.float64), documents.words, documents.starts), shape=shape)
