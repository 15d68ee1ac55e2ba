"""How everything here is compiled."""

from __future__ import annotations

from functools import partial

from numba import njit

# Sums may be reassociated to vectorise; NaN and infinity keep their meaning, so divergence stays visible.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
entry = partial(njit, nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)  # called from Python
jit = entry(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called from compiled code alone: faster to compile
entry = entry()
