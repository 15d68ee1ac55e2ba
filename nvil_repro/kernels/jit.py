"""How everything here is compiled, and where what was compiled is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from numba import config, njit

# No fast-math: sums are written in the order in which they are to be vectorised, so a function gives the same bits
# wherever it is inlined, in the process that compiles it and in one that finds it compiled, on any width of vector.
_compile = partial(njit, nogil=True, cache=True, error_model="numpy")


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile what Python calls."""
    return _kept(_compile(), function)


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile what compiled code alone calls, which is quicker."""
    return _kept(_compile(no_cpython_wrapper=True, no_cfunc_wrapper=True), function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile what is to stand where it is called: in inner loops, whose values would else go through memory."""
    return _kept(_compile(no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True), function)


def _kept(compiler: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Numba looks for changes in a function's own file alone, not in those it calls: other sources, another folder."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(Path(before or Path(__file__).parent / "__pycache__") / sources())
    try:
        return compiler(function)
    finally:
        config.CACHE_DIR = before


@cache
def sources() -> str:
    """Twelve hex digits of all the code here."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
