"""Checkpoints: whole or absent, two kept, every altered byte noticed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from nvil_repro.training import checkpoints
from nvil_repro.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    CheckpointWarning,
    SettingsChangedError,
    differences,
    load_latest,
    require_safetensors,
    save,
)

SETTINGS = {"rate": 0.1, "layers": [3, 2], "data": {"dataset": "toy"}}


def saved(folder: Path, *updates: int) -> None:
    for update in updates:
        save(
            folder,
            SETTINGS,
            Checkpoint(update, {"w": torch.arange(3.0) + update}, {"history": [math.nan, 0.1]}),
        )


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    found = load_latest(tmp_path, SETTINGS)
    assert found is not None
    assert (found.update, found.record) == (5, {"history": [None, 0.1]})
    assert found.tensors["w"].tolist() == [5, 6, 7]
    assert load_latest(tmp_path / "empty", SETTINGS) is None


def test_the_last_two_are_kept_and_leftovers_removed(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-000000001.json.x.tmp").touch()
    (tmp_path / "checkpoint-000000009.safetensors").touch()  # killed before its text was written
    saved(tmp_path, 1, 2, 3)
    names = [f"checkpoint-00000000{update}.{end}" for update in (2, 3) for end in ("json", "safetensors")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path, suffix: str) -> None:
    saved(tmp_path, 1, 2)
    path = tmp_path / f"checkpoint-000000002{suffix}"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 7
        for damaged in (bytes(flipped), whole[:position]):
            path.write_bytes(damaged)
            if suffix == ".json" and _same_json(damaged, whole):
                continue  # white space
            with pytest.warns(CheckpointWarning, match="000000001.json is used"):
                found = load_latest(tmp_path, SETTINGS)
            assert found is not None
            assert found.update == 1
    path.write_bytes(whole)
    restored = load_latest(tmp_path, SETTINGS)
    assert restored is not None
    assert restored.update == 2


def _same_json(a: bytes, b: bytes) -> bool:
    try:
        return json.loads(a) == json.loads(b)
    except ValueError:
        return False


def test_a_damaged_one_never_pushes_out_a_sound_one(tmp_path: Path) -> None:
    saved(tmp_path, 4, 9)
    (tmp_path / "checkpoint-000000009.safetensors").write_bytes(b"damaged")
    with pytest.warns(CheckpointWarning):
        load_latest(tmp_path, SETTINGS)
    saved(tmp_path, 5)  # resumed from 4, on the way to 9 again
    assert sorted(path.stem[-1] for path in tmp_path.glob("*.json")) == ["4", "5"]


def test_missing_tensors_are_noticed(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoint-000000002.safetensors").unlink()
    with pytest.warns(CheckpointWarning, match="is missing"):
        assert load_latest(tmp_path, SETTINGS).update == 1


def test_two_damaged_checkpoints_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"000000002.*000000001.*Delete the folder"):
        load_latest(tmp_path, SETTINGS)


def test_changed_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    changed = {"rate": 0.2, "layers": [3], "data": {"dataset": "other"}}
    pattern = r"rate: 0.1 -> 0.2; layers: \[3, 2\] -> \[3\]; data.dataset: toy -> other.*another folder"
    with pytest.raises(SettingsChangedError, match=pattern):
        load_latest(tmp_path, changed)
    assert list(differences({"old": 1}, {"new": 2})) == ["old: 1 -> None", "new: None -> 2"]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, 1)

    def full_disk(path: Path, content: bytes | str) -> None:
        raise OSError(28, f"cannot write {path}: No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomic", full_disk)
    with pytest.raises(OSError, match="No space left"):
        saved(tmp_path, 2)
    assert load_latest(tmp_path, SETTINGS).update == 1


def test_without_safetensors_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        require_safetensors()
