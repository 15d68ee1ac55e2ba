"""A run that is stopped anywhere, however rudely, ends bit for bit as one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nvil_repro.training import belief_nets, checkpoints
from nvil_repro.training.belief_nets import BeliefNets, train
from nvil_repro.training.checkpoints import CheckpointWarning, SettingsChangedError
from nvil_repro.training.optimisers import Optimiser
from tests.training.promises import StopHereError, interrupt
from tests.training.toys import same, toy_data, toy_settings

POINTS = [
    (owner, name, after)
    for owner, name in (
        (BeliefNets, "advance"),
        (BeliefNets, "evaluate"),
        (checkpoints, "write_atomic"),
        (checkpoints, "_prune"),
    )
    for after in (False, True)
]


@pytest.mark.parametrize(("owner", "name", "after"), POINTS)
def test_stopped_at_any_call_and_resumed(tmp_path: Path, owner: object, name: str, after: bool) -> None:
    settings, data = (
        toy_settings(optimiser=Optimiser("adam")),
        toy_data(),
    )  # the one with the most to remember
    straight = train(settings, data, tmp_path / "straight", progress="off")
    stops = 0
    for call in range(1, 40):
        folder = tmp_path / str(call)
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, owner, name, call, after=after)
            try:
                train(settings, data, folder, progress="off")
                break  # the run has fewer such calls
            except StopHereError:
                stops += 1
        assert same(train(settings, data, folder, progress="off"), straight)
        for file in ("metrics.csv", "checkpoint-000000025.safetensors"):
            assert (folder / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()
    assert stops >= 3


def test_the_comparison_notices_a_run_that_forgets_its_random_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = train(toy_settings(), toy_data(), progress="off")
    interrupt(monkeypatch, BeliefNets, "advance", 4, after=False)
    with pytest.raises(StopHereError):
        train(toy_settings(), toy_data(), tmp_path, progress="off")
    draw = belief_nets.uniforms
    monkeypatch.setattr(
        belief_nets, "uniforms", lambda seed, name, index, *rest: draw(seed, name, index + 1, *rest)
    )
    assert not same(train(toy_settings(), toy_data(), tmp_path, progress="off"), straight)


def test_early_stopping_and_divergence_survive_a_stop(tmp_path: Path) -> None:
    settings = toy_settings(patience=2, updates=80, rate=0.3, rate_scale={"none": 1e38})
    straight = train(settings, toy_data(), progress="off")
    assert straight.diverged.keys() == {1}
    assert straight.updates < 80
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, BeliefNets, "advance", 5, after=True)
        with pytest.raises(StopHereError):
            train(settings, toy_data(), tmp_path, progress="off")
    assert same(train(settings, toy_data(), tmp_path, progress="off"), straight)


def test_a_finished_run_returns_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(toy_settings(), toy_data(), tmp_path, progress="off")
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != ".lock"}
    monkeypatch.setattr(BeliefNets, "advance", None)
    monkeypatch.setattr(BeliefNets, "evaluate", None)
    again = train(toy_settings(), toy_data(), tmp_path, progress="off")
    assert same(first, again)
    assert again.seconds == first.seconds
    assert files == {path: path.stat().st_mtime_ns for path in files}


def test_a_damaged_last_checkpoint_costs_only_the_way_from_the_one_before(tmp_path: Path) -> None:
    straight = train(toy_settings(), toy_data(), tmp_path, progress="off")
    last = tmp_path / "checkpoint-000000025.safetensors"
    last.write_bytes(last.read_bytes()[:-8])
    with pytest.warns(CheckpointWarning, match=r"000000020.json is used: .*000000025.*truncated or altered"):
        assert same(train(toy_settings(), toy_data(), tmp_path, progress="off"), straight)


def test_other_settings_and_other_data_are_refused(tmp_path: Path) -> None:
    train(toy_settings(), toy_data(), tmp_path, progress="off")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SettingsChangedError, match=r"rate: 0.01 -> 0.02\. .*another folder"):
        train(toy_settings(rate=0.02), toy_data(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"data.sha256: \w+ -> \w+\. "):
        train(toy_settings(), toy_data(1), tmp_path, progress="off")
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    train(
        toy_settings(checkpoint_seconds=60), toy_data(), tmp_path, progress="off"
    )  # control: no number of its own


KILLED = """
import sys, time, torch
torch.set_num_threads(1)
from nvil_repro.training.belief_nets import BeliefNets, train
from tests.training.toys import toy_data, toy_settings
work = BeliefNets.advance
BeliefNets.advance = lambda *a: (time.sleep(0.005), work(*a))[1]
print("ready", flush=True)
train(toy_settings(updates=400), toy_data(), sys.argv[1], progress="off")
"""


def test_kill_dash_nine_at_random_moments(tmp_path: Path) -> None:
    settings = toy_settings(updates=400)
    straight = train(settings, toy_data(), tmp_path / "straight", progress="off")
    folder, moments = tmp_path / "killed", random.Random(0)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    reached = []
    for _ in range(2):
        command = [sys.executable, "-c", KILLED, str(folder)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0.1, 0.4))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL  # it was still at work
        reached.append(len(list(folder.glob("checkpoint-*.json"))))
    assert any(reached)
    assert same(train(settings, toy_data(), folder, progress="off"), straight)
    for file in ("metrics.csv", "checkpoint-000000400.safetensors"):
        assert (folder / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_nothing_is_carried_in_global_state() -> None:
    first = train(toy_settings(), toy_data(), progress="off")
    torch.manual_seed(1)
    random.seed(1)
    assert same(first, train(toy_settings(), toy_data(), progress="off"))
