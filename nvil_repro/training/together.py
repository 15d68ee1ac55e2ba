"""Many trainings side by side, each on one thread of a process, until all are done."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from nvil_repro.training.checkpoints import latest_update
from nvil_repro.training.progress import Progress

Key = TypeVar("Key", bound=Hashable)
LOOK = 1.0  # seconds between looks at the folders
REPORT = 30.0  # seconds between lines of progress


class Job(NamedTuple):
    """One training, by the `train` function of a method's module, with its checkpoints in `folder`."""

    train: Callable[..., Any]  # (settings, data, folder, *, title, progress, threads) -> TrainResult
    settings: Any
    folder: Path
    title: str
    updates: int
    multiply_adds: float  # of an update, about; by these the costliest job comes first and time left is told
    product: str = "metrics.csv"  # the file in `folder` that is written last


def train_together(
    jobs: Mapping[Key, Job], data: Any, *, workers: int | None = None, progress: str | None = None
) -> dict[Key, Any]:
    """Finish every job, `workers` at a time (as many as torch has threads if None); their results.

    Finished and begun jobs go on from their folders, so a call that was interrupted is made again. No number
    depends on `workers`: one trains here, several are processes that end with this one, however it ends.
    Errors: those of the first job that fails; the others are stopped.
    """
    waiting = [job for job in jobs.values() if not finished(job)]
    workers = min(workers or torch.get_num_threads(), len(waiting))
    if workers > 1:
        _train_in_processes(waiting, data, workers, progress)
        waiting = []
    return {
        key: job.train(
            job.settings, data, job.folder, title=job.title, progress=progress if job in waiting else "off"
        )
        for key, job in jobs.items()
    }


def finished(job: Job) -> bool:
    """Whether the job's folder holds its product."""
    return (job.folder / job.product).is_file()


def _train_in_processes(jobs: Sequence[Job], data: Any, workers: int, progress: str | None) -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    costliest_first = sorted(jobs, key=_cost, reverse=True)
    # By plain pickle, to processes of our own: torch's way through shared memory is too small in some containers.
    arguments = (pickle.dumps(data), stop, os.getpid())
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=arguments) as pool:
        try:
            futures = [pool.submit(_train, job) for job in costliest_first]
            _watch(futures, costliest_first, progress)
        except BaseException:
            stop.set()
            raise


def _watch(futures: Sequence[Any], jobs: Sequence[Job], progress: str | None) -> None:
    """Tell how far the jobs' checkpoints are, until all are done or one has failed."""
    total = sum(map(_cost, jobs))
    title, unit = f"{len(jobs)} runs", "billion multiply-add"
    with Progress(round(total), title, unit=unit, done=round(_done(jobs)), style=progress) as bar:
        told = time.monotonic()
        while True:
            done, pending = wait(futures, LOOK, FIRST_EXCEPTION)
            for future in done:
                future.result()
            bar.step(max(0, round(_done(jobs)) - bar.done))
            if time.monotonic() - told > REPORT or not pending:
                bar.report(f"{len(done)} of {len(jobs)} runs finished")
                told = time.monotonic()
            if not pending:
                return


def _cost(job: Job) -> float:
    return job.updates * job.multiply_adds / 1e9


def _done(jobs: Sequence[Job]) -> float:
    """Of the cost of all jobs, what their checkpoints have behind them."""
    shares = (1.0 if finished(job) else latest_update(job.folder) / job.updates for job in jobs)
    return sum(share * _cost(job) for share, job in zip(shares, jobs, strict=True))


_data: Any = None  # a worker's


def _begin(pickled: bytes, stop: Any, parent: int) -> None:
    """In a worker: take the data, leave interruptions to the parent, and end when it stops or is gone."""
    global _data
    _data = pickle.loads(pickled)  # made by the parent, see above
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while not stop.wait(0.5) and os.getppid() == parent:
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train(job: Job) -> None:
    job.train(job.settings, _data, job.folder, title=job.title, progress="off", threads=1)
