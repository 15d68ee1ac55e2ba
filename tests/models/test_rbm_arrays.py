"""RBMs as arrays and files: there and back, and what is wrong said by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nvil_repro.models.rbm_arrays import rbm_from_arrays, rbm_to_arrays, read_rbm
from tests.models.test_unnormalised import random_rbm

GOOD = {"weights": np.ones((3, 2)), "visible_bias": np.zeros(3), "hidden_bias": np.zeros(2)}


def test_there_and_back(tmp_path: Path) -> None:
    theta = random_rbm()
    np.savez(tmp_path / "rbm.npz", **rbm_to_arrays(theta, 1), epoch=np.array(7))
    found = read_rbm(tmp_path / "rbm.npz")
    for a, b in zip(found, theta, strict=True):
        assert torch.equal(a, b[1:])
    single = {name: array.astype(np.float32) for name, array in GOOD.items()}
    assert rbm_from_arrays(**single).weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": np.ones(3)}, r"weights has shape \[3\]"),
        ({"weights": np.ones((0, 2))}, r"weights has shape \[0, 2\]"),
        ({"weights": np.ones((2, 3))}, r"visible_bias has shape \[3\]: expected \[2\].*transposed"),
        ({"hidden_bias": np.zeros((2, 1))}, r"hidden_bias has shape \[2, 1\]: expected \[2\]"),
        ({"weights": np.ones((3, 2), int)}, "weights is int64: expected float32 or float64"),
        ({"visible_bias": np.zeros(3, complex)}, "visible_bias is complex128"),
        ({"visible_bias": np.array(["a", "b", "c"])}, "visible_bias is <U1"),
        ({"weights": np.array([[0, 0], [0, np.nan], [0, 0]])}, r"weights holds nan at \[1, 1\]"),
        ({"hidden_bias": np.array([0, -np.inf])}, r"hidden_bias holds -inf at \[1\]"),
        ({"hidden_bias": np.array([None, 1])}, "no .npz file of plain arrays"),
    ],
)
def test_bad_arrays_are_refused_by_name(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "rbm.npz", **GOOD | change)
    with pytest.raises(ValueError, match=says) as error:
        read_rbm(tmp_path / "rbm.npz")
    assert "rbm.npz" in str(error.value)


def test_what_is_no_such_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rbm.npz"
    np.savez(path, w=GOOD["weights"], visible_bias=GOOD["visible_bias"])
    with pytest.raises(ValueError, match="lacks weights, hidden_bias and has w, visible_bias"):
        read_rbm(path)
    np.savez(path, **GOOD)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:100] + b"\xff" * 40 + whole[140:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"rbm\.npz is no \.npz file"):
            read_rbm(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ValueError, match="it holds one array"):
        read_rbm(tmp_path / "one.npy")
    with pytest.raises(FileNotFoundError):
        read_rbm(tmp_path / "nowhere.npz")
