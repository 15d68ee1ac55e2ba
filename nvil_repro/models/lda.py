"""Latent Dirichlet allocation (Blei, Ng & Jordan 2003), R replicas at a time.

theta ~ Dirichlet(alpha); every word of a document has a topic z_i ~ theta and is drawn from it, w_i ~ phi_{z_i}. So
p(w_1 .. w_n) is the same for every order, and no product of simple terms: `evaluation.left_to_right` estimates it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.streams import stream


class Lda(NamedTuple):
    """R models of K topics over V words, float64."""

    dirichlet: Tensor  # lambda [R, K, V]: what variational Bayes says of topic k is Dirichlet(lambda_k)
    alpha: Tensor  # [R, K]


def lda(topics: int, seeds: tuple[int, ...], *, vocabulary: int, alpha: float) -> Lda:
    """Fresh models of R = len(seeds) replicas: lambda from Gamma(100, 1/100), as Hoffman, Blei & Bach (2010) begin.

    Errors: `ValueError` if there are no topics, words or seeds, or alpha is not above 0.
    """
    if min(topics, vocabulary, len(seeds)) < 1 or not alpha > 0:
        raise ValueError(
            "need topics, words, at least one seed and an alpha above 0, "
            f"got topics={topics}, vocabulary={vocabulary}, seeds={seeds}, alpha={alpha}"
        )
    each = [stream(seed, "init/lda").gamma(100.0, 0.01, (topics, vocabulary)) for seed in seeds]
    dirichlet = torch.stack([torch.from_numpy(part) for part in each])
    return Lda(dirichlet, torch.full((len(seeds), topics), alpha, dtype=torch.float64))


def topics(model: Lda) -> Tensor:
    """phi, a point estimate: the mean of every topic's Dirichlet, [R, K, V]; rows sum to one."""
    return model.dirichlet / model.dirichlet.sum(-1, keepdim=True)
