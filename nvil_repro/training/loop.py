"""The one training loop, whatever the method: chunks of updates, evaluations, checkpoints, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from nvil_repro.files import folder_lock
from nvil_repro.training import checkpoints
from nvil_repro.training.checkpoints import Checkpoint, CheckpointError
from nvil_repro.training.early_stopping import Best, consider, no_best_yet, stopped
from nvil_repro.training.history import publish, summary
from nvil_repro.training.method import Estimate, Method, Schedule, State
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread
from nvil_repro.trees import copy_replicas, leaves, restore


@dataclass
class TrainResult(Generic[State]):
    """What a run leaves.

    `history` holds two rows per evaluation and replica: the metric on split "valid" with its standard error,
    `n` cases, and on split "train" its mean over the `n` minibatches since the last evaluation. A diverged
    replica's rows end with NaN and a note, those of one that stopped early where it stopped.
    """

    state: State  # at the end; a replica stopped early has its best parameters in `state.net`
    best: Best  # per replica by validation: value, update, net
    history: list[dict[str, Any]]
    updates: int
    seconds: float  # of training, over all sittings
    diverged: dict[int, int]  # replica -> the update whose objective was not finite, counted from 1

    @property
    def final(self) -> Any:
        """The parameters at the end of training."""
        return self.state.net


@dataclass
class _Run(Generic[State]):
    """A run under way: `TrainResult` in the making, and all that a checkpoint holds."""

    state: State
    best: Best
    sums: Tensor  # [R] float64, of the objective since the last evaluation
    update: int = 0
    evaluated: int = -1  # the update of the last evaluation
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    diverged: dict[int, int] = field(default_factory=dict)
    clock: float = field(default_factory=time.perf_counter)  # when `seconds` was last brought up to date

    def tick(self) -> None:
        before, self.clock = self.clock, time.perf_counter()
        self.seconds += self.clock - before

    def tensors(self) -> dict[str, Tensor]:
        return dict(leaves((self.state, self.best, self.sums)))

    def checkpoint(self) -> Checkpoint:
        diverged = {str(replica): update for replica, update in self.diverged.items()}
        record = {
            "evaluated": self.evaluated,
            "seconds": self.seconds,
            "diverged": diverged,
            "history": self.history,
        }
        return Checkpoint(self.update, self.tensors(), record)

    def resume(self, checkpoint: Checkpoint) -> None:
        record = checkpoint.record
        restore((self.state, self.best, self.sums), checkpoint.tensors)
        self.update, self.evaluated, self.seconds = checkpoint.update, record["evaluated"], record["seconds"]
        self.diverged = {int(replica): update for replica, update in record["diverged"].items()}
        self.history = [
            row | {k: math.nan for k in ("value", "stderr") if row[k] is None} for row in record["history"]
        ]


def run(
    method: Method[State],
    schedule: Schedule,
    settings: Mapping[str, Any],
    folder: Path | None = None,
    *,
    title: str = "",
    progress: str | None = None,
) -> TrainResult[State]:
    """Train, evaluating at update 0, every `eval_every` updates and at the end.

    With a `folder` the run checkpoints there from the start on, continues what it finds, bit for bit, and
    returns at once if that is finished; `settings`, JSON-able, name the run. `metrics.csv`, the history
    without timing, is last.
    Torch works on one thread meanwhile, so that no number depends on how many there are.
    Errors: `SettingsChangedError`, `CheckpointError`, `FolderBusyError`, `OSError`.
    """
    with ExitStack() as stack:
        if folder is not None:
            checkpoints.require_safetensors()
            stack.enter_context(folder_lock(folder))
        stack.enter_context(one_thread())
        now = _begin(method, settings, folder)
        if not _finished(now, schedule):
            bar = stack.enter_context(Progress(schedule.updates, title, done=now.update, style=progress))
            _train(method, schedule, settings, folder, now, bar)
        copy_replicas(now.state.net, now.best.net, stopped(now.best, schedule.patience))
        if folder is not None:
            publish(folder / "metrics.csv", now.history)
    return TrainResult(now.state, now.best, now.history, now.update, now.seconds, now.diverged)


def _begin(method: Method[State], settings: Mapping[str, Any], folder: Path | None) -> _Run[State]:
    state = method.start()
    replicas = len(method.replicas)
    now = _Run(state, no_best_yet(state.net, replicas), torch.zeros(replicas, dtype=torch.float64))
    found = None if folder is None else checkpoints.load_latest(folder, settings)
    if found is not None:
        try:
            now.resume(found)
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"{folder} was written by another version of this code: {error}; delete it"
            ) from error
    return now


def _train(
    method: Method[State],
    schedule: Schedule,
    settings: Mapping[str, Any],
    folder: Path | None,
    now: _Run[State],
    bar: Progress,
) -> None:
    saved = -math.inf  # the first checkpoint is written at once: a full disk shows before the work
    while True:
        now.tick()
        due = now.update % schedule.eval_every == 0 or now.update == schedule.updates
        if due and now.evaluated != now.update:
            _evaluate(method, schedule, now)
            bar.report(summary(now.history))
        done = _finished(now, schedule)
        if folder is not None and (done or time.perf_counter() - saved >= schedule.checkpoint_seconds):
            now.tick()
            checkpoints.save(folder, settings, now.checkpoint())
            saved = time.perf_counter()
        if done:
            return
        count = min(schedule.chunk, schedule.updates - now.update)
        objective = method.advance(now.state, now.update, count).cpu().double()
        halted = _halted(now, schedule)
        for replica, step in _first_not_finite(objective):
            if not halted[replica]:
                now.diverged.setdefault(replica, now.update + step + 1)
        now.sums += objective.sum(0)
        now.update += count
        bar.step(count)


def _evaluate(method: Method[State], schedule: Schedule, now: _Run[State]) -> None:
    """Append the rows of this evaluation for the replicas still training, and keep what is best."""
    estimate = method.evaluate(now.state)
    values = estimate.mean.cpu().double()
    active = ~_halted(now, schedule)
    for r in (active & ~torch.isfinite(values)).nonzero().flatten().tolist():
        now.diverged.setdefault(r, now.update)
    for r in active.nonzero().flatten().tolist():
        now.history.extend(_rows(method, now, estimate, r))
    values[list(now.diverged)] = math.nan
    consider(now.best, values, now.update, now.state.net, active)
    now.sums.zero_()
    now.evaluated = now.update


def _rows(method: Method[State], now: _Run[State], estimate: Estimate, r: int) -> Iterator[dict[str, Any]]:
    """The rows of one replica; a diverged one's hold NaN and a note, and are its last."""
    common = {"replica": r, **method.replicas[r]._asdict(), "updates": now.update, "metric": method.metric}
    common |= {
        "note": f"diverged at update {now.diverged[r]}" if r in now.diverged else "",
        "seconds": now.seconds,
    }
    scale = math.nan if r in now.diverged else 1.0
    value, stderr = estimate.mean[r].item() * scale, estimate.stderr[r].item() * scale
    yield common | {"split": "valid", "value": value, "stderr": stderr, "n": estimate.cases}
    minibatches = now.update - max(now.evaluated, 0)
    if minibatches:
        objective = now.sums[r].item() / minibatches * scale
        yield common | {"split": "train", "value": objective, "stderr": math.nan, "n": minibatches}


def _halted(now: _Run[State], schedule: Schedule) -> Tensor:
    """Which replicas write no more rows: stopped early, or their divergence is in a row already. Bool [R]."""
    halted = stopped(now.best, schedule.patience)
    halted[[r for r, update in now.diverged.items() if update <= now.evaluated]] = True
    return halted


def _finished(now: _Run[State], schedule: Schedule) -> bool:
    """At the end, or early where no replica is left; the last rows are written."""
    return now.evaluated == now.update and (
        now.update == schedule.updates or bool(_halted(now, schedule).all())
    )


def _first_not_finite(objective: Tensor) -> Iterator[tuple[int, int]]:
    """(replica, step) of the first value of each column of [T, R] that is not finite."""
    bad = ~torch.isfinite(objective)
    for replica in bad.any(0).nonzero().flatten().tolist():
        yield replica, int(bad[:, replica].int().argmax())
