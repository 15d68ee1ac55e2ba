"""Every net of a table is timed, in one run, and what was timed elsewhere is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction import update_times
from nvil_repro.reproduction.cells import expected_hashes, timing_cells
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.results import write_results
from nvil_repro.reproduction.update_times import MILLISECONDS, ROUNDS, time_updates
from nvil_repro.training.belief_nets import BeliefNets


@pytest.fixture
def data() -> MnistSplits:
    bits = (torch.rand(140, 784, generator=torch.Generator().manual_seed(1)) < 0.3).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


def make_run(folder: Path, **changes: Any) -> Run:
    given = {
        "models": ["SBN 3-2", "fDARN 3", "mixture of Bernoullis 4"],
        "protocols": ["balanced", "literal"],
    }
    given |= {"passes": [1, 1], "seeds": [[4, 5], [6]], "timed_updates": 100, **changes}
    return parameters({"profile": "smoke", **given, "results_dir": str(folder)}, "nvil_vs_wake_sleep")


def test_every_net_is_timed_in_turn_and_by_its_fastest_round(
    data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that each update of NVIL moves by 1 ms, of wake-sleep by 2, once by more."""
    clock, order = [0.0], list[tuple[Any, ...]]()

    def advance(self: BeliefNets, _: Any, first: int, count: int) -> None:
        name = (self.settings.method, self.settings.architecture.name, self.settings.optimiser.name)
        slow = 7.0 if len(order) % 9 == 0 else 0.0
        order.append((*name, first, count))
        clock[0] += slow + 1e-3 * count * (1 + (self.settings.method == "wake-sleep"))

    monkeypatch.setattr(BeliefNets, "advance", advance)
    monkeypatch.setattr(update_times.time, "perf_counter", lambda: clock[0])
    run = make_run(tmp_path)
    rows = list(time_updates(run, data))
    assert len(rows) == 2 * 2 * 2  # protocols, columns and nets; a mixture has no updates
    assert {(r.method, round(r.value, 9)) for r in rows} == {("NVIL", 1.0), ("wake-sleep", 2.0)}
    assert {(r.metric, r.split, r.updates, r.threads) for r in rows} == {(MILLISECONDS, "train", 100, 1)}
    assert {(r.protocol, r.seed) for r in rows} == {("balanced", 4), ("literal", 6)}
    nets = [each[:3] for each in order[:8]]
    assert len(set(nets)) == 8  # a chunk of each that is not timed
    assert [each[3] for each in order[8:12]] == [0, 50, 0, 50]  # then two of each
    assert len(order) == 8 + ROUNDS * 8 * 2


def test_what_is_left_out_is_not_timed(data: MnistSplits, tmp_path: Path) -> None:
    run = make_run(tmp_path, models=["SBN 3-2"], left_out=["wake-sleep literal"], timed_updates=50)
    timed = {(row.protocol, row.method) for row in time_updates(run, data)}
    assert timed == {("balanced", "NVIL"), ("balanced", "wake-sleep"), ("literal", "NVIL")}


def test_times_are_kept_together_or_not_at_all(
    data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of two machines, or of two runs, cannot be compared."""
    run = make_run(tmp_path / "there", models=["SBN 3-2"])
    rows = list(time_updates(run, data))
    assert all(0 < row.value < 1e3 for row in rows)
    write_results(tmp_path / "nvil_vs_wake_sleep.csv", rows)
    assert [
        row._replace(profile=run.profile) for row in time_updates(replace(run, keep=tmp_path), data)
    ] == rows
    asked = list[Any]()

    def fastest(methods: Any, updates: int) -> dict[Any, tuple[int, float]]:
        asked.extend(methods)
        return dict.fromkeys(methods, (updates, 1.0))

    monkeypatch.setattr(update_times, "_fastest", fastest)
    wider = make_run(tmp_path / "here")
    again = list(time_updates(replace(wider, keep=tmp_path), data))
    assert asked == list(timing_cells(wider.settings))
    assert {row.value for row in again} == {1.0}
    assert {row.settings_hash for row in again} < expected_hashes(wider.experiment, wider.settings)
    mixed = [rows[0]._replace(device="another"), *rows[1:]]
    write_results(tmp_path / "nvil_vs_wake_sleep.csv", mixed)
    assert {row.value for row in time_updates(replace(run, keep=tmp_path), data)} == {1.0}


@pytest.mark.parametrize(("updates", "counted"), [(20, 50), (120, 100), (130, 150)])
def test_whole_chunks_are_timed_and_counted(
    data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int, counted: int
) -> None:
    clock = [0.0]
    monkeypatch.setattr(
        BeliefNets, "advance", lambda *given: clock.__setitem__(0, clock[0] + 1e-3 * given[-1])
    )
    monkeypatch.setattr(update_times.time, "perf_counter", lambda: clock[0])
    run = make_run(tmp_path, models=["SBN 3"], timed_updates=updates)
    assert {(row.updates, round(row.value, 9)) for row in time_updates(run, data)} == {(counted, 1.0)}
