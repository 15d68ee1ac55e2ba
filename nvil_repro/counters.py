"""Uniforms by position: the n-th of a stream is a function of (seed, name, index) and n, so any of them come alone.

Compiled loops draw them where they need them, in any order on any thread, see `kernels.counters`; here they are drawn
again for torch. SplitMix64 (Steele, Lea & Flood 2014) mixes a counter into 64 bits, two uniforms of 24 each; its start
and a second key, met halfway, are the stream's.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nvil_repro.streams import stream

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def counter_key(seed: int, name: str, index: int) -> np.ndarray:
    """The two words, uint64, that stand for `stream(seed, name, index)`."""
    return stream(seed, name, index).integers(0, 2**64, 2, np.uint64)


def counter_uniforms(
    seed: int,
    name: str,
    index: int,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    *,
    offset: int = 0,
) -> Tensor:
    """The uniforms of the stream from number `offset` on, multiples of 2^-24 in [0, 1), in an array of this shape, row
    after row.
    """
    start, second_key = counter_key(seed, name, index)
    stop = offset + math.prod(shape)
    z = start + np.arange(offset // 2, (stop + 1) // 2, dtype=np.uint64) * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST) ^ second_key
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    z ^= z >> np.uint64(31)
    halves = z.view(np.uint32)[offset % 2 :][: stop - offset] >> np.uint32(8)
    return torch.from_numpy(halves.astype(np.float64) * 2.0**-24).to(dtype).view(shape)
