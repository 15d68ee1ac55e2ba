"""Every bad setting is refused by name; the hash moves with what can move a number and with nothing else."""

from __future__ import annotations

import json

import pytest

from nvil_repro.models.belief_net import Architecture
from nvil_repro.training.method import Replica
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from tests.training.toys import SETTINGS, toy_settings

BAD = {
    "layers": [(), (0,), (3, 2.5), "200"],
    "variants": [(), ("all",), ("",), ("full", "full"), "full"],
    "seeds": [(), (-1,), (0, 0), (True,)],
    "updates": [0, -5, 2.0, True, "10"],
    "architecture": ["fDARN", (True, False, False)],
    "method": ["em"],
    "optimiser": ["sgd"],
    "rate": [-1e-3, float("nan"), float("inf"), "1e-3"],
    "inference_rate": [-1.0],
    "baseline_rate": [None],
    "rate_scale": [{"idb": 2.0}, {"full": -1.0}],
    "decay_from": [7, -5, 25, 2.5],
    "batch_size": [0],
    "alpha": [1.0, -0.1, "0.8"],
    "baseline_units": [0],
    "eval_every": [0, 12],
    "validation_samples": [1],
    "patience": [0, 1.5],
    "chunk": [0],
    "dtype": ["float16"],
    "engine": ["jax"],
    "device": ["tpu0", "nowhere"],
    "checkpoint_seconds": [-1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=rf"{name}\b.*: expected .+; .+"):
        toy_settings(**{name: value})


def test_wake_sleep_has_no_variants() -> None:
    assert toy_settings(method="wake-sleep", variants=("",)).replicas == (Replica("", 0),)


def test_every_setting_has_a_bad_value_above() -> None:
    assert BAD.keys() == SETTINGS.__dict__.keys()


@pytest.mark.parametrize(("device", "engine"), [("cuda", "kernel"), ("cpu", "graph")])
def test_neither_runs_the_others_engine(device: str, engine: str) -> None:
    with pytest.raises(
        SettingsError, match=f"engine='{engine}': expected another on {device}; set engine='auto'"
    ):
        toy_settings(device=device, engine=engine)


def test_settings_are_json_and_hash_the_same_from_lists() -> None:
    settings = toy_settings(rate_scale={"full": 2.0}, optimiser=Optimiser("adam"), decay_from=10)
    assert json.loads(json.dumps(settings.to_dict())) == settings.to_dict()
    assert toy_settings(layers=[3, 2]).hash == SETTINGS.hash


def test_the_hash_sees_every_number_and_not_the_cadence_of_checkpoints() -> None:
    changes: dict[str, object] = dict.fromkeys(("rate", "inference_rate", "baseline_rate", "alpha"), 0.5)
    changes |= dict.fromkeys(("batch_size", "baseline_units", "validation_samples"), 7)
    changes |= {"layers": (3,), "updates": 30, "variants": ("none", "full"), "seeds": (1,)}
    changes |= {"optimiser": Optimiser("adam"), "rate_scale": {"full": 2.0}, "decay_from": 5}
    changes |= {"eval_every": 5, "patience": 1, "chunk": 10, "dtype": "float64"}
    changes |= {"engine": "kernel", "device": "cuda"}
    changes |= {"architecture": Architecture(inference=True)}
    hashes = {toy_settings(**{name: value}).hash for name, value in changes.items()}
    hashes |= {toy_settings(variants=("",), method="wake-sleep").hash}
    changes |= {"method": "wake-sleep"}
    assert len(hashes | {SETTINGS.hash}) == len(changes) + 1
    assert toy_settings(checkpoint_seconds=5).hash == SETTINGS.hash
    assert changes.keys() == SETTINGS.to_dict().keys()


def test_replicas_go_seed_by_seed() -> None:
    replicas = toy_settings(variants=("full", "none"), seeds=(3, 1)).replicas
    assert replicas == (Replica("full", 3), Replica("none", 3), Replica("full", 1), Replica("none", 1))
