"""Sharing independent sequences of work among threads so that none waits for the last one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait


def run_interleaved(
    run: Callable[[int, int, int], None], sequences: int, length: int, slice_length: int, threads: int
) -> None:
    """Call run(sequence, begin, end) until every sequence has gone from 0 to `length`, in slices, in order.

    Slices of one sequence never overlap; the thread that comes free takes the sequence that is furthest behind, so
    five sequences on two threads take two and a half turns, not three. `run` must release the interpreter lock.
    """
    if threads == 1 or sequences == 1:
        for s in range(sequences):
            run(s, 0, length)
        return
    done = [0] * sequences
    idle = set(range(sequences))
    running: dict[Future[None], int] = {}
    with ThreadPoolExecutor(min(threads, sequences)) as pool:
        while running or min(done) < length:
            while len(running) < threads and (ready := [s for s in idle if done[s] < length]):
                s = min(ready, key=lambda s: (done[s], s))
                idle.remove(s)
                running[pool.submit(run, s, done[s], min(done[s] + slice_length, length))] = s
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                s = running.pop(future)
                future.result()
                done[s] = min(done[s] + slice_length, length)
                idle.add(s)
