"""Random streams by name: every number a run draws is a function of (seed, name, index) alone.

Nothing is carried from one draw to the next, so a resumed run needs no generator state, streams never
disturb one another, and replicas with the same seed see the same minibatches and the same uniforms.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import torch
from torch import Tensor

_FLOATS: dict[torch.dtype, Literal["float32", "float64"]] = {
    torch.float32: "float32",
    torch.float64: "float64",
}


def stream(seed: int, name: str, index: int = 0) -> np.random.Generator:
    """The generator of stream `name` at position `index` (an epoch, a chunk of updates) of run `seed`.

    Errors: `ValueError` if `seed` or `index` is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must be non-negative integers, got seed={seed}, index={index}")
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(int.from_bytes(digest, "little"))))


def uniforms(
    seed: int, name: str, index: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Uniforms in [0, 1) of the given shape, drawn from `stream(seed, name, index)`."""
    return torch.from_numpy(stream(seed, name, index).random(shape, dtype=_FLOATS[dtype]))


def normals(
    seed: int, name: str, index: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Standard normals of the given shape, drawn from `stream(seed, name, index)`."""
    return torch.from_numpy(stream(seed, name, index).standard_normal(shape, dtype=_FLOATS[dtype]))
