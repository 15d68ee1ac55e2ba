"""Sequences shared among threads: every slice once, in order, never two of one sequence at once."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from nvil_repro.training.schedule import run_interleaved

Scheduler = Callable[[Callable[[int, int, int], None], int, int, int, int], None]


def assert_in_turn(schedule: Scheduler, threads: int) -> None:
    """Every slice of five sequences once and in order, never two of one sequence at a time."""
    seen: dict[int, list[tuple[int, int]]] = {s: [] for s in range(5)}
    busy: set[int] = set()
    lock = threading.Lock()

    def run(sequence: int, begin: int, end: int) -> None:
        with lock:
            assert sequence not in busy
            busy.add(sequence)
        time.sleep(0.0005)
        with lock:
            seen[sequence].append((begin, end))
            busy.remove(sequence)

    schedule(run, 5, 23, 10, threads)
    for slices in seen.values():
        assert slices[0][0] == 0
        assert slices[-1][1] == 23
        assert all(a[1] == b[0] for a, b in itertools.pairwise(slices))


@pytest.mark.parametrize("threads", [1, 2, 5, 9])
def test_every_slice_runs_once_and_in_order(threads: int) -> None:
    assert_in_turn(run_interleaved, threads)


def test_a_schedule_out_of_order_is_noticed() -> None:
    def backwards(
        run: Callable[[int, int, int], None], sequences: int, length: int, size: int, _: int
    ) -> None:
        for s in range(sequences):
            for begin in reversed(range(0, length, size)):
                run(s, begin, min(begin + size, length))

    with pytest.raises(AssertionError):
        assert_in_turn(backwards, 1)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def run(sequence: int, begin: int, end: int) -> None:
        if sequence == 3:
            raise ArithmeticError("sequence 3 failed")

    with pytest.raises(ArithmeticError, match="sequence 3 failed"):
        run_interleaved(run, sequences=5, length=20, slice_length=10, threads=2)
