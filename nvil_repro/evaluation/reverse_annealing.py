"""RAISE, log-likelihoods by reverse annealing (Burda, Grosse & Salakhutdinov 2015).

Annealing up a ladder, from a sample of the base through a step at every rung, 1 included, draws x from a distribution
of its own, p_ann, which is nearly the model's where chains keep up. p_ann(x) is what is estimated, without a Z:
from x backwards through the same steps reversed, the weight

    w = p*_0(x_0) / Z_0 prod_k f_k(x_k) / f_k(x_{k-1}),    x_K = x

has the mean p_ann(x), so that E[log w] <= log p_ann(x): a lower bound on log p_ann; on log p only over the model's own
cases, of which E[log p_ann(x)] <= E[log p(x)]. Of others it may exceed log p: it flatters as AIS does where annealing
misses modes, by log 2 on the cases of one mode where it misses another of half the mass.

A step that is not its own reverse, as a sweep over units is not, is taken as it is: then p_ann is that of annealing by
the reversed sweep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import Watch, annealing_path, draws
from nvil_repro.evaluation.ladders import checked_ladder
from nvil_repro.evaluation.partition import anneal
from nvil_repro.models.unnormalised import Family, like


@torch.no_grad()
def raise_log_prob(
    family: Family,
    theta: Any,
    x: Tensor,
    *,
    ladder: Sequence[float],
    chains: int = 1,
    mean: Tensor | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> Tensor:
    """The log of the mean of `chains` weights for each case of `x` [N, D], in nats, float64: [R, N]. In expectation it
    is below log p_ann(x), not always below log p(x).

    All chains of all cases run at once: hundreds of cases at a time, not thousands.
    Errors: `ValueError` for a ladder that does not rise from 0 to 1; as `annealing_path`.
    """
    path, rungs = annealing_path(family, theta, mean), checked_ladder(ladder)[::-1]
    state = path.enter(x.repeat_interleave(chains, 0)[None])
    state = path.step(state, 1.0, draws(path, len(x) * chains, seed, "raise", 0))
    log_weights = anneal(path, rungs, state, seed, "raise", watch)
    here = family.log_unnormalised(like(theta, [part.double() for part in theta]), x.double()[None])
    return (
        here - path.log_z[:, None] + log_weights.unflatten(-1, (-1, chains)).logsumexp(-1) - math.log(chains)
    )
