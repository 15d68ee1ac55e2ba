"""Minibatches without state: which cases update t sees is a function of the seed and t alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nvil_repro.streams import stream


def minibatch_indices(n: int, batch: int, first_update: int, count: int, seed: int) -> Tensor:
    """Indices [T, B], int64, of the cases of updates first_update .. first_update + count - 1.

    The epochs' permutations of the n cases stand end to end and are cut into consecutive minibatches: every
    case is seen once an epoch, and a minibatch may straddle two. Errors: `ValueError` naming the bad value.
    """
    if not 1 <= batch <= n:
        raise ValueError(f"batch must be between 1 and the {n} cases of the data set, got {batch}")
    if first_update < 0 or count < 0:
        raise ValueError(f"first_update and count must not be negative, got {first_update} and {count}")
    positions = np.arange(first_update * batch, (first_update + count) * batch)
    epochs, offsets = np.divmod(positions, n)
    cases = np.empty_like(positions)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1) if count else ():
        now = epochs == epoch
        cases[now] = _permutation(n, seed, epoch)[offsets[now]]
    return torch.from_numpy(cases.reshape(count, batch))


@lru_cache(maxsize=64)
def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    return stream(seed, "minibatches", epoch).permutation(n)
