"""What the next chunk needs, made in a thread while a device works on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Calls `make(first_update, count)`, at once or, where `draw` asked for it, beforehand; the same either way."""

    def __init__(self, make: Callable[[int, int], Made]) -> None:
        self.make = make
        self._pool: ThreadPoolExecutor | None = None
        self._coming: tuple[tuple[int, int], Future[Made]] | None = None

    def __call__(self, first_update: int, count: int) -> Made:
        """What was made for these, or is made now."""
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] == (first_update, count):
            return coming[1].result()
        return self.make(first_update, count)

    def draw(self, first_update: int, count: int) -> None:
        """Begin to make what the next call is expected to ask for; nothing if `count` is not positive."""
        if count > 0:
            self._pool = self._pool or ThreadPoolExecutor(1, "draws")
            self._coming = (first_update, count), self._pool.submit(self.make, first_update, count)
