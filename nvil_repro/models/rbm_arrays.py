"""The border to the outside for RBMs: machines from numpy arrays or an .npz file, and back."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nvil_repro.models.rbm import Rbm

NAMES = ("weights", "visible_bias", "hidden_bias")


def rbm_from_arrays(weights: NDArray, visible_bias: NDArray, hidden_bias: NDArray) -> Rbm:
    """A machine of one replica, float64, from weights [D, H] and biases [D] and [H] of float32 or float64.

    E(x, h) = -visible_bias.x - hidden_bias.h - x weights h, of bits x and h.
    Errors: `ValueError` naming the array if its dtype or shape is another, or it holds NaN or infinity.
    """
    arrays = dict(zip(NAMES, (weights, visible_bias, hidden_bias), strict=True))
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{name} is {array.dtype}: expected float32 or float64")
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"weights has shape {list(weights.shape)}: expected [visible units, hidden units]")
    for name, units in zip(NAMES[1:], weights.shape, strict=True):
        if arrays[name].shape != (units,):
            raise ValueError(
                f"{name} has shape {list(arrays[name].shape)}: expected [{units}] to fit weights of shape "
                f"{list(weights.shape)}, visible x hidden; are the weights transposed?"
            )
    for name, array in arrays.items():
        if len(wrong := np.argwhere(~np.isfinite(array))):
            where = tuple(wrong[0].tolist())
            raise ValueError(f"{name} holds {array[where]} at {list(where)}: all entries must be finite")
    return Rbm(*(torch.from_numpy(array.astype(np.float64))[None] for array in arrays.values()))


def rbm_to_arrays(theta: Rbm, replica: int = 0) -> dict[str, NDArray]:
    """One replica as copies, by name: `numpy.savez(path, **arrays)` writes what `read_rbm` reads."""
    parts = (part[replica].detach().cpu().numpy().copy() for part in theta)
    return dict(zip(NAMES, parts, strict=True))


def read_rbm(path: str | Path) -> Rbm:
    """A machine of one replica, float64, from the arrays `NAMES` of an .npz file; others are not looked at.

    Nothing is unpickled. Errors: `OSError` if the file cannot be read; `ValueError` naming it if it is no .npz file,
    lacks an array, or holds a bad one, see `rbm_from_arrays`.
    """
    try:
        arrays = _load(path)
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays ({error}): write one with numpy.savez(path, weights=..., "
            "visible_bias=..., hidden_bias=...)"
        ) from error
    if missing := [name for name in NAMES if name not in arrays]:
        has = ", ".join(arrays) or "no array"
        raise ValueError(f"{path} lacks {', '.join(missing)} and has {has}: expected {', '.join(NAMES)}")
    try:
        return rbm_from_arrays(*(arrays[name] for name in NAMES))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _load(path: str | Path) -> dict[str, NDArray]:
    """Those of the file's arrays that make a machine, and the names of the others."""
    file = np.load(path, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("it holds one array")
    with file:
        return {name: file[name] if name in NAMES else np.empty(0) for name in file.files}
