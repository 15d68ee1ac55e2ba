"""How everything here is compiled."""

from __future__ import annotations

from functools import partial

from numba import njit

# No fast-math: sums are written in the order in which they are to be vectorised, so a function gives the same bits
# wherever it is inlined, in the process that compiles it and in one that finds it compiled, on any width of vector.
_compile = partial(njit, nogil=True, cache=True, error_model="numpy")

entry = _compile()  # called from Python
jit = _compile(
    no_cpython_wrapper=True, no_cfunc_wrapper=True
)  # called from compiled code alone: quicker to compile
