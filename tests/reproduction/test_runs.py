"""Protocols become the settings they stand for; runs have folders of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction import runs
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.runs import multiply_adds, protocol_settings, run_folder
from nvil_repro.training.settings import TrainSettings


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return parameters({"profile": "smoke", "results_dir": str(tmp_path)}, "nvil_vs_wake_sleep")


def settings(protocol: str = "literal", **changes: object) -> TrainSettings:
    given = {"updates": 100, "eval_every": 50, "seeds": (0,)} | changes
    return protocol_settings(PROTOCOLS[protocol], (30, 20), **given)  # type: ignore[arg-type]


def test_the_letter_of_the_paper() -> None:
    nvil, asleep = settings(), settings(method="wake-sleep")
    assert (nvil.rate, nvil.inference_rate, nvil.batch_size) == (3e-4, 6e-5, 20)
    assert (nvil.optimiser.name, nvil.decay_from, nvil.variants) == ("sgd", None, ("full",))
    assert (asleep.rate, asleep.inference_rate) == (1e-4, 1e-4)
    assert (asleep.method, asleep.variants) == ("wake-sleep", ("",))


def test_wake_sleep_is_not_centred() -> None:
    assert settings("balanced").optimiser.centre == 0.5
    assert settings("balanced", method="autoregressive Q").optimiser.centre == 0.5
    asleep = settings("balanced", method="wake-sleep").optimiser
    assert asleep == replace(settings("balanced").optimiser, centre=0.0)


def test_rates_fall_from_the_fraction_that_is_held() -> None:
    assert settings("balanced").decay_from == 50
    how = PROTOCOLS["literal"]._replace(hold=0.52)
    assert protocol_settings(how, (3,), updates=100, eval_every=10, seeds=(0,)).decay_from == 50


def test_a_folder_of_its_own_for_whatever_changes_a_number(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(dataset: str = "toy", **changes: object) -> Path:
        return run_folder(run, dataset, "SBN 20-30, NVIL, seed 0", settings(**changes))

    here = folder()
    assert here.parent == run.results_dir / "runs"
    assert " " not in here.name
    assert here == folder(checkpoint_seconds=1.0)
    others = [folder(seeds=(1,)), folder(updates=150), folder("other"), folder(method="wake-sleep")]
    monkeypatch.setattr(runs, "code_hash", lambda of: "00000000")
    other_code = folder()
    monkeypatch.setattr(runs.torch, "__version__", "9.9")
    assert len({here, other_code, folder(), *others}) == 7


def test_multiply_adds_of_an_update() -> None:
    small = replace(settings(), batch_size=1, baseline_units=10)
    dense = 5 * 30 + 30 * 20  # P's; Q has as many, and each is used forward and in the gradient
    assert multiply_adds(replace(small, method="wake-sleep", variants=("",)), visible=5) == 6 * dense
    baselines = 5 * 10 + 30 * 10
    assert multiply_adds(small, visible=5) == 4 * dense + 2 * baselines
    lateral = replace(small, architecture=Architecture(prior=True))
    assert multiply_adds(lateral, visible=5) == multiply_adds(small, visible=5) + 2 * 20**2 / 2 * 2
    assert multiply_adds(replace(small, seeds=(0, 1)), 5) == 2 * multiply_adds(small, 5)
