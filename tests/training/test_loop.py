"""The loop on a method of three numbers: rows, divergence, early stopping, and what the numbers depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.files import folder_lock
from nvil_repro.training import checkpoints
from nvil_repro.training.loop import TrainResult, run
from nvil_repro.training.method import Estimate, Replica, Schedule


class Net(NamedTuple):
    """The number of updates made, per replica."""

    weight: Tensor  # [R, 1]


class State(NamedTuple):
    net: Net


@dataclass
class Script:
    """A method whose validation values and objectives are written down beforehand, by update."""

    values: list[dict[int, float]]  # per replica
    objectives: list[dict[int, float]] = field(default_factory=lambda: [{}] * 9)
    metric: str = "bound"
    threads: set[int] = field(default_factory=set)

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return tuple(Replica("full", seed) for seed in range(len(self.values)))

    def start(self) -> State:
        return State(Net(torch.zeros(len(self.values), 1)))

    def advance(self, state: State, first_update: int, count: int) -> Tensor:
        self.threads.add(torch.get_num_threads())
        state.net.weight.add_(count)
        steps = range(first_update, first_update + count)
        return torch.tensor(
            [[-(t + 1.0) + o.get(t + 1, 0) for o in self.objectives[: len(self.values)]] for t in steps]
        )

    def evaluate(self, state: State) -> Estimate:
        update = int(state.net.weight[0])
        means = torch.tensor([by.get(update, -9.0) for by in self.values], dtype=torch.float64)
        return Estimate(means, torch.full_like(means, 0.5), 16)


def play(
    method: Script, folder: Path | None = None, *, updates: int = 50, patience: int | None = None
) -> TrainResult:
    return run(method, Schedule(updates, 10, 4, patience, 0), {"name": "script"}, folder, progress="off")


def valid(result: TrainResult, seed: int = 0) -> dict[int, float]:
    return {r["updates"]: r["value"] for r in result.history if r["split"] == "valid" and r["seed"] == seed}


def test_rows_of_an_evaluation() -> None:
    result = run(Script([{}]), Schedule(14, 10, 5, None, 0), {}, progress="off")
    rows = [(r["updates"], r["split"], r["value"], r["n"]) for r in result.history]
    assert rows == [
        (0, "valid", -9, 16),
        (10, "valid", -9, 16),
        (10, "train", -5.5, 10),  # the mean of -1 .. -10
        (14, "valid", -9, 16),
        (14, "train", -12.5, 4),
    ]
    assert all(row["metric"] == "bound" and row["note"] == "" for row in result.history)
    seconds = [row["seconds"] for row in result.history]
    assert seconds == sorted(seconds)


def test_early_stopping_keeps_the_best_parameters() -> None:
    values = [{0: -9, 10: -1, 20: -2, 30: -3, 40: -0.5}, {0: -9, 10: -8, 20: -7, 30: -6, 40: -5, 50: -4}]
    result = run(Script(values), Schedule(50, 10, 5, 2, 0), {}, progress="off")
    assert result.best.net.weight.flatten().tolist() == [10, 50]
    assert result.final.weight.flatten().tolist() == [10, 50]
    assert list(valid(result, 0)) == [0, 10, 20, 30]  # its rows end where it stopped
    assert list(valid(result, 1)) == [0, 10, 20, 30, 40, 50]
    forever = run(Script(values), Schedule(50, 10, 5, None, 0), {}, progress="off")  # control
    assert forever.best.net.weight.flatten().tolist() == [40, 50]


def test_a_run_ends_when_every_replica_has_stopped() -> None:
    result = run(Script([{10: -1}, {20: -1}]), Schedule(500, 10, 5, 2, 0), {}, progress="off")
    assert result.updates == 40
    assert result.best.update.tolist() == [10, 20]


def test_a_diverged_replica_is_reported_once_and_the_others_go_on() -> None:
    objectives = [{}, {13: math.nan, 14: math.nan}]
    result = run(Script([{}, {}], objectives), Schedule(40, 10, 5, None, 0), {}, progress="off")
    assert result.diverged == {1: 13}
    last = [row for row in result.history if row["seed"] == 1][-2:]
    assert all(row["note"] == "diverged at update 13" and row["updates"] == 20 for row in last)
    assert all(math.isnan(row[key]) for row in last for key in ("value", "stderr"))
    assert list(valid(result, 0)) == [0, 10, 20, 30, 40]
    assert all(row["note"] == "" for row in result.history if row["seed"] == 0)
    assert result.best.net.weight.flatten().tolist() == [0, 0]  # -9 throughout: the first stays the best


def test_parameters_that_are_not_finite_show_at_the_evaluation() -> None:
    result = run(Script([{20: math.inf}]), Schedule(40, 10, 5, None, 0), {}, progress="off")
    assert result.diverged == {0: 20}
    assert result.updates == 20  # nobody is left


def test_rows_do_not_depend_on_companions() -> None:
    values = [{10: -1}, {}, {10: -5, 20: -4, 30: -3, 40: -2, 50: -1}]
    objectives = [{}, {23: math.nan}, {}]
    together = run(Script(values, objectives), Schedule(50, 10, 5, 2, 0), {}, progress="off")
    for seed in range(3):
        alone = run(Script([values[seed]], [objectives[seed]]), Schedule(50, 10, 5, 2, 0), {}, progress="off")
        assert str(valid(alone)) == str(valid(together, seed))
        assert alone.best.net.weight[0] == together.best.net.weight[seed]


def test_torch_has_one_thread_within_and_its_own_after() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        method = Script([{}])
        play(method, updates=8)
        assert method.threads == {1}
        assert torch.get_num_threads() == 2
        method.advance(method.start(), 0, 1)
        assert method.threads == {1, 2}  # control
    finally:
        torch.set_num_threads(before)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(RuntimeError, match="is in use by process"):
        play(Script([{}]), tmp_path)
    play(Script([{}]), tmp_path)


def test_a_full_disk_shows_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, content: bytes | str) -> None:
        raise OSError(28, f"cannot write {path}: No space left on device")

    method = Script([{}])
    hourly = Schedule(50, 10, 4, None, 3600)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_atomic", full_disk)
        with pytest.raises(OSError, match="No space left"):
            run(method, hourly, {}, tmp_path, progress="off")
    assert method.threads == set()  # no update was made
    run(method, hourly, {}, tmp_path, progress="off")
    assert method.threads == {1}  # control
    assert [path.stem[-2:] for path in sorted(tmp_path.glob("*.json"))] == ["00", "50"]
