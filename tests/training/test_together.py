"""Side by side gives what one after the other gives, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nvil_repro.training import belief_nets, together
from nvil_repro.training.settings import TrainSettings
from nvil_repro.training.together import Job, finished, train_together
from tests.training.toys import same, toy_data, toy_settings


def jobs_in(folder: Path, *settings: TrainSettings) -> dict[int, Job]:
    return {
        i: Job(belief_nets.train, each, folder / str(i), f"job {i}", each.updates, 1e6)
        for i, each in enumerate(settings)
    }


THREE = (toy_settings(), toy_settings(seeds=(1,)), toy_settings(updates=40))


def test_processes_find_what_one_process_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apart = train_together(jobs_in(tmp_path / "a", *THREE), toy_data(), workers=2, progress="lines")
    assert "3 of 3 runs finished" in capsys.readouterr().out
    alone = train_together(jobs_in(tmp_path / "b", *THREE), toy_data(), workers=1, progress="off")
    assert all(same(apart[i], alone[i]) for i in range(3))
    assert not same(apart[0], alone[1])  # control


def test_what_is_finished_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_in(tmp_path, *THREE)
    first = train_together(jobs, toy_data(), workers=1, progress="off")
    monkeypatch.setattr(belief_nets.BeliefNets, "advance", None)
    again = train_together(jobs, toy_data(), workers=2, progress="off")
    assert all(map(finished, jobs.values()))
    assert all(same(first[i], again[i]) for i in range(3))
    unfinished = jobs_in(tmp_path / "new", *THREE)
    with pytest.raises(TypeError):  # control
        train_together(unfinished, toy_data(), workers=1, progress="off")


def test_the_first_failure_is_told_and_stops_the_others(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, toy_settings(updates=10**7), toy_settings(batch_size=1000))
    with pytest.raises(ValueError, match="expected at least 1000"):
        train_together(jobs, toy_data(), workers=2, progress="off")


def test_progress_counts_what_the_checkpoints_hold(tmp_path: Path) -> None:
    jobs = list(jobs_in(tmp_path, toy_settings(updates=40), toy_settings(seeds=(1,))).values())
    assert together._done(jobs) == 0
    belief_nets.train(jobs[0].settings, toy_data(), jobs[0].folder, progress="off")
    (jobs[1].folder).mkdir()
    (jobs[1].folder / "checkpoint-000000010.json").touch()
    assert together._done(jobs) == pytest.approx(1e-3 * (40 + 10))


def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.training.test_together import jobs_in, toy_data, toy_settings, train_together\n"
        "if __name__ == '__main__':\n"
        f"    jobs = jobs_in(Path({str(tmp_path)!r}), *(toy_settings(updates=10**7, seeds=(s,)) for s in (0, 1)))\n"
        "    train_together(jobs, toy_data(), workers=2, progress='off')\n"
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(root)})
    folders = [tmp_path / "0", tmp_path / "1"]
    wait_for(lambda: all(any(folder.glob("checkpoint-*.json")) for folder in folders))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    counts = [0, 0]

    def quiet() -> bool:
        before = counts.copy()
        counts[:] = [together.latest_update(folder) for folder in folders]
        time.sleep(1)
        return before == counts

    wait_for(quiet)


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.2)
