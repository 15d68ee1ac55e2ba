"""EM in the loop: a pass is an update, and a run is stopped, resumed, shared out, refused like any other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.learning.em import expectation, maximisation
from nvil_repro.models.mixture import log_prob, mixture
from nvil_repro.training import mixture as module
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.mixture import MixtureMethod, MixtureSettings, train
from nvil_repro.training.settings import SettingsError
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
)
from tests.training.toys import Bits, toy_data

SETTINGS = MixtureSettings(components=3, updates=8, smoothing=0.1, dtype="float64", checkpoint_seconds=0)
TOY = Toy(train, MixtureMethod, SETTINGS, toy_data())


def test_a_run_is_passes_of_em() -> None:
    result = train(replace(SETTINGS, seeds=(5,)), toy_data(), progress="off")
    model, values = mixture(3, [5], toy_data().train, dtype=torch.float64), []
    for _ in range(8):
        statistics = expectation(model, toy_data().train)
        values.append(statistics.log_likelihood.item())
        model = maximisation(statistics, 0.1, torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(model, result.final, strict=True))
    history = [row for row in result.history if row["split"] == "train"]
    assert [row["value"] for row in history] == values
    assert all(b > a for a, b in pairwise(values))
    assert {row["metric"] for row in result.history} == {"log_likelihood"}
    valid = [row["value"] for row in result.history if row["split"] == "valid"]
    assert valid[-1] == log_prob(model, toy_data().valid).mean().item()
    assert result.best.value.item() == max(valid)


def test_companions_and_threads_change_no_number() -> None:
    toy = TOY._replace(settings=replace(SETTINGS, dtype="float32"))
    check_companions(toy)
    check_threads(toy)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_pass_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, (1, 4, 8), after=after)


def test_the_comparison_notices_a_pass_too_many(tmp_path: Path) -> None:
    plain, data = MixtureMethod.advance, toy_data()
    method = MixtureMethod(SETTINGS, data.train, data.valid)
    check_forgetting_is_noticed(TOY, tmp_path, 4, lambda state: plain(method, state, 0, 1))


def test_early_stopping_gives_the_best_back() -> None:
    result = train(replace(SETTINGS, components=20, updates=200, patience=3), toy_data(), progress="off")
    assert result.updates < 200
    assert log_prob(result.final, toy_data().valid).mean().item() == result.best.value.item()


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"smoothing": 0.2}, {"components": 4}, {"seeds": (1,)}, {"updates": 9}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_data(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"smoothing: 0\.1 -> 0\.2"):
        train(replace(SETTINGS, smoothing=0.2), toy_data(), tmp_path, progress="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": 0}, "components=0: expected an integer of at least 1"),
        ({"components": True}, "components=True: expected an integer"),
        ({"smoothing": 0.0}, "smoothing=0.0: expected a finite number of at least 1e-06"),
        ({"seeds": [0]}, r"seeds=\[0\]: expected different integers"),
        ({"seeds": (-1,)}, r"seeds=\(-1,\): expected different integers"),
        ({"eval_every": 0}, "eval_every=0: expected an integer"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_data_that_does_not_fit_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Bits(toy_data().train[:2], toy_data().valid)
    for data, message in (
        (few, "train has 2 cases: expected at least 3"),
        (_grey(), "valid must hold zeros"),
    ):
        with pytest.raises(ValueError, match=message):
            train(SETTINGS, data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(module, "mixture", None)  # control: it was refused before it began
    with pytest.raises(TypeError):
        train(SETTINGS, toy_data(), progress="off")


def _grey() -> Bits:
    return Bits(toy_data().train, toy_data().valid * 255)
