"""Fair timing on a shared machine: contenders take turns, and each is represented by its quietest turn."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch


class Way(NamedTuple):
    """One way of doing a piece of work: `run()` does `updates` model-updates with `threads` torch threads.

    Where the work is of another kind, test cases say, those are counted.
    """

    run: Callable[[], object]
    updates: float
    threads: int = 1


def ways(jobs: Sequence[Callable[[], object]], updates: float) -> list[Way]:
    """Jobs that make `updates` together, one after the other on one thread or all cores, or each on a core of its own.

    A run returns what each job returned.
    """
    pool = ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,))

    def in_turn() -> list[object]:
        return [job() for job in jobs]

    def apart() -> list[object]:
        return [future.result() for future in [pool.submit(job) for job in jobs]]

    return [Way(in_turn, updates, threads) for threads in {1, cores()}] + [Way(apart, updates)]


def milliseconds(contenders: Mapping[str, Sequence[Way]], seconds: float, least: int = 3) -> dict[str, float]:
    """Milliseconds per model-update of each contender, in its fastest way; NaN for one without any.

    Rounds are interleaved, A B C A B C ..., so that what else the machine does hits all alike, and the minimum over
    the rounds is taken: noise only ever adds. Each timed run follows an untimed one, for everyone's own caches.
    There are as many rounds as fit into `seconds`, but at least `least`.
    """
    ways = [(name, way) for name, options in contenders.items() for way in options]
    best = dict.fromkeys(contenders, math.inf)
    before, begin, rounds = torch.get_num_threads(), time.perf_counter(), 0
    try:
        while rounds < least or time.perf_counter() - begin < seconds:
            for name, way in ways:
                torch.set_num_threads(way.threads)
                way.run()
                start = time.perf_counter()
                way.run()
                best[name] = min(best[name], (time.perf_counter() - start) * 1e3 / way.updates)
            rounds += 1
    finally:
        torch.set_num_threads(before)
    return {name: value if contenders[name] else math.nan for name, value in best.items()}


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
