"""Checkpoints that survive `kill -9`: safetensors and JSON, whole or absent, the last two kept.

checkpoint-000120000.safetensors    everything an update changes
checkpoint-000120000.json           settings, history, SHA-256 of the tensors and of itself; written last
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from nvil_repro.files import write_atomic

KEPT = 2


class CheckpointError(ValueError):
    """No checkpoint of the folder can be used; the message says why, file by file, and what to do."""


class SettingsChangedError(ValueError):
    """The folder holds a run of other settings; the message shows each difference, old -> new."""


class CheckpointWarning(UserWarning):
    """A damaged checkpoint was passed over."""


class Checkpoint(NamedTuple):
    """A run after `update` updates: its tensors by name and a JSON-able record (NaN is kept as null)."""

    update: int
    tensors: dict[str, Tensor]
    record: dict[str, Any]


def require_safetensors() -> None:
    """Fail before any work if checkpoints cannot be written. Errors: `ImportError` saying what to install."""
    try:
        import safetensors  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "checkpoints need safetensors: pip install safetensors, or train with folder=None"
        ) from error


def save(folder: Path, settings: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Write a checkpoint and keep it and the one before. The caller owns the folder (`files.folder_lock`).

    Errors: `OSError` (a full disk); the checkpoints already there stay as they are.
    """
    from safetensors.torch import save as to_bytes

    path = folder / f"checkpoint-{checkpoint.update:09d}.json"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    content = to_bytes(tensors)
    body = {
        "update": checkpoint.update,
        "settings": dict(settings),
        "record": _plain(checkpoint.record),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomic(path.with_suffix(".safetensors"), content)
    write_atomic(path, json.dumps({**body, "sha256": _digest(body)}, indent=1, allow_nan=False) + "\n")
    _prune(folder, path.stem)


def load_latest(folder: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """The newest sound checkpoint of the folder, or None if it never had one.

    `CheckpointWarning` tells of damaged ones passed over.

    Errors: `SettingsChangedError`; `CheckpointError` if there are checkpoints and all are damaged.
    """
    _prune(folder)
    damaged = []
    for path in _newest_first(folder):
        try:
            body, checkpoint = _read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            damaged.append(f"{path.name}: {error}")
            continue
        _check_settings(folder, body["settings"], dict(settings))
        for reason in damaged:
            warnings.warn(
                f"damaged checkpoint passed over, {path.name} is used: {reason}",
                CheckpointWarning,
                stacklevel=2,
            )
        return checkpoint
    if damaged:
        raise CheckpointError(
            f"no sound checkpoint in {folder}: {'; '.join(damaged)}. "
            "Delete the folder to train from the beginning, or restore it from a copy."
        )
    return None


def latest_update(folder: Path) -> int:
    """The update of the newest checkpoint, by its name; 0 where there is none."""
    return max((int(path.stem.partition("-")[2]) for path in _newest_first(folder)), default=0)


def _read(path: Path) -> tuple[dict[str, Any], Checkpoint]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    body = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(body, dict) or body.pop("sha256", None) != _digest(body):
        raise ValueError("its text is altered (SHA-256 differs)")
    tensors = path.with_suffix(".safetensors")
    if not tensors.exists():
        raise ValueError(f"{tensors.name} is missing")
    content = tensors.read_bytes()
    if hashlib.sha256(content).hexdigest() != body["tensors_sha256"]:
        raise ValueError(f"{tensors.name} is truncated or altered ({len(content)} bytes, SHA-256 differs)")
    try:
        return body, Checkpoint(body["update"], load(content), body["record"])
    except SafetensorError as error:
        raise ValueError(f"{tensors.name}: {error}") from error


def _check_settings(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = list(differences(_plain(old), _plain(new)))
    if changes:
        raise SettingsChangedError(
            f"{folder} holds a run of other settings: {'; '.join(changes)}. "
            "Go back to the old settings to continue it, choose another folder, or delete this one."
        )


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """`field.field: old -> new` for every difference of two JSON-able values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif old != new:
        yield f"{name}: {old} -> {new}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.json"), reverse=True)


def _prune(folder: Path, last: str = "~") -> None:
    """Remove older checkpoints, tensors without their text and what a killed process left half written.

    Any beyond `last`, the one just written, were damaged and passed over: they must not push a sound one out.
    """
    kept = {path.stem for path in [path for path in _newest_first(folder) if path.stem <= last][:KEPT]}
    for pattern in ("checkpoint-*.json", "checkpoint-*.safetensors"):
        for path in folder.glob(pattern):
            if path.stem not in kept:
                path.unlink()
    for path in folder.glob(".*.tmp"):
        path.unlink()


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """As JSON will give it back: tuples as lists, NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
