"""`nvil_repro.counters` compiled: any stretch of a stream of uniforms, many at a time."""

from __future__ import annotations

import numpy as np

from nvil_repro import counters
from nvil_repro.kernels.jit import jit

_GOLDEN, _FIRST, _SECOND = (np.uint64(c) for c in (counters.GOLDEN, counters.FIRST, counters.SECOND))
_27, _30, _31 = (np.uint64(c) for c in (27, 30, 31))


def words(most: int) -> np.ndarray:
    """Room for the words of `most` uniforms."""
    return np.empty(most // 2 + 1, np.uint64)


@jit
def fill_uniforms(key, position, out, words):
    """out = the uniforms from `position` on of the stream with this key."""
    odd, count = position & 1, out.shape[0]
    start = key[0] + np.uint64(position >> 1) * _GOLDEN
    for i in range((odd + count + 1) >> 1):
        z = start + np.uint64(i) * _GOLDEN
        z = ((z ^ (z >> _30)) * _FIRST) ^ key[1]
        z = (z ^ (z >> _27)) * _SECOND
        words[i] = z ^ (z >> _31)
    halves, unit = words.view(np.uint32)[odd:], out.dtype.type(2.0**-24)
    for j in range(count):
        out[j] = unit * out.dtype.type(np.int32(halves[j] >> np.uint32(8)))
