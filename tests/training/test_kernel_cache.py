"""A process that compiles the CPU engine and one that finds it compiled get the same bits from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")
PACKAGE = Path(__file__).resolve().parents[2] / "nvil_repro"

TRAINED = """
import hashlib, sys, torch
from nvil_repro.training.belief_nets import train
from nvil_repro.trees import leaves
from tests.training.toys import Bits, toy_settings
generator = torch.Generator().manual_seed(0)
x = (torch.rand(300, 784, generator=generator) < torch.rand(784, generator=generator) ** 3).to(torch.uint8)
settings = toy_settings(layers=(200,), variants=("full",), updates=100, eval_every=100, batch_size=20,
                        baseline_units=100, engine="kernel", seeds=(int(sys.argv[1]),))
digest = hashlib.sha256()
for _, tensor in leaves(train(settings, Bits(x[:200], x[200:]), progress="off").state):
    digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


def trained(cache: Path, seed: int = 0) -> str:
    """A digest of all that training left, in a process of its own with that folder of compiled code."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TRAINED, str(seed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_compiling_and_finding_compiled_give_the_same_bits(tmp_path: Path) -> None:
    compiled = trained(tmp_path)
    assert list(tmp_path.rglob("*.nbc"))
    assert trained(tmp_path) == compiled
    assert trained(tmp_path, seed=1) != compiled  # control


def test_other_sources_are_another_folder(tmp_path: Path) -> None:
    """Numba itself would go on with what it compiled from the sources as they were."""
    shutil.copytree(PACKAGE, tmp_path / "nvil_repro", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "from nvil_repro.kernels.jit import sources; print(sources())"]

    def folder() -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, env={"PATH": ""}
        )
        return done.stdout

    before = folder()
    assert folder() == before
    (tmp_path / "nvil_repro" / "kernels" / "ascent.py").open("a").write("\n# edited\n")
    assert folder() != before
