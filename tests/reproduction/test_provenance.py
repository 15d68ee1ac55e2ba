"""What names the code behind a number."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nvil_repro import __version__
from nvil_repro.reproduction import document_systems, measurements, provenance
from nvil_repro.reproduction.notebook import parameters
from nvil_repro.reproduction.provenance import (
    AROUND,
    PACKAGE,
    code_hash,
    code_version,
    imported,
    meaning,
    notebook_hash,
)
from nvil_repro.training.lda import LdaSettings
from nvil_repro.training.nade import NadeSettings
from nvil_repro.training.settings import TrainSettings


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a git clone of its own."""
    package = tmp_path / "nvil_repro"
    (package / "learning").mkdir(parents=True)
    (package / "reproduction").mkdir()
    (package / "learning" / "nvil.py").write_text('"""Say."""\nRATE = 1\n')
    (package / "reproduction" / "report.py").write_text("COLOUR = 1\n")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return package


def test_a_commit_and_whether_the_tree_differs(package: Path) -> None:
    clean = code_version(package)
    assert len(clean) == 12
    (package / "learning" / "nvil.py").write_text("RATE = 2\n")
    code_version.cache_clear()
    assert code_version(package) == f"{clean}+dirty"


def test_rows_name_the_code_that_trained(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not that of a commit made meanwhile."""
    code_version.cache_clear()
    monkeypatch.setattr(
        provenance, "_git", lambda root, *_: str(root) if "--show-toplevel" in _ else "before"
    )
    parameters({"profile": "smoke"}, "quickstart")
    monkeypatch.setattr(provenance, "_git", lambda root, *_: str(root) if "--show-toplevel" in _ else "after")
    assert provenance.provenance().code_version == "before+dirty"
    code_version.cache_clear()
    assert provenance.provenance().code_version == "after+dirty"  # control
    code_version.cache_clear()


@pytest.mark.parametrize(
    ("module", "measured"),
    [
        (measurements, measurements.Likelihood(NadeSettings(), 10)),
        (measurements, measurements.Bounds(TrainSettings((3,), 50), 10, 10, 10, 10)),
        (document_systems, document_systems.LdaSystem(LdaSettings(), 20, 10, 10)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_measurements_name_holds_the_code_that_measures(
    module: ModuleType, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(module, "code_hash", lambda of: asked.append(of) or "00000000")
    assert measured.name
    code = imported(PACKAGE, *asked[0])
    assert {Path(str(module.__file__)).relative_to(PACKAGE).as_posix(), "evaluation/importance.py"} <= code
    assert not {"reproduction/document_systems.py", "reproduction/measurements.py"} & AROUND


def test_outside_a_clone_the_release(tmp_path: Path, package: Path) -> None:
    assert code_version(tmp_path / "elsewhere" / "nvil_repro") == __version__
    inside = tmp_path / "venv" / "nvil_repro"  # installed into an environment that lies in someone's clone
    inside.mkdir(parents=True)
    assert code_version(inside) == __version__


def test_the_code_hash_follows_the_mathematics_alone(package: Path) -> None:
    def now() -> str:
        code_hash.cache_clear()
        return code_hash(package)

    before = now()
    (package / "learning" / "nvil.py").write_text('"""Say more."""\n\nRATE   =   1  # why\n')
    (package / "reproduction" / "report.py").write_text("COLOUR = 2\n")
    assert now() == before
    (package / "learning" / "nvil.py").write_text('"""Say."""\nRATE = 2\n')
    assert now() != before


def test_a_module_and_what_it_imports(package: Path) -> None:
    (package / "streams.py").write_text("A = 1\n")
    (package / "training").mkdir()
    (package / "training" / "__init__.py").write_text("")
    (package / "training" / "loop.py").write_text("def f():\n    from nvil_repro import streams\n")
    (package / "training" / "nets.py").write_text("import torch\nfrom nvil_repro.training import loop\n")
    expected = {"training/nets.py", "training/__init__.py", "training/loop.py", "streams.py"}
    assert imported(package, "training/nets.py") == expected

    def now() -> str:
        code_hash.cache_clear()
        return code_hash(package, ("training/nets.py",))

    before = now()
    (package / "learning" / "nvil.py").write_text("RATE = 2\n")  # not among them
    assert now() == before
    (package / "streams.py").write_text("A = 2\n")
    assert now() != before


def test_what_training_belief_nets_rests_on() -> None:
    names = imported(PACKAGE, "training/belief_nets.py")
    assert {"kernels/nvil.py", "learning/closed_form.py", "streams.py", "evaluation/bounds.py"} <= names
    assert not any(name.startswith("reproduction") for name in names)


def test_meaning_drops_docstrings_only() -> None:
    assert meaning('def f():\n    "doc"\n    return "s"') == meaning('def f(): return "s"  # c')
    assert meaning('def f(): return "s"') != meaning('def f(): return "t"')


def test_a_notebook_is_its_code(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"

    def hashed(code: str, prose: str, outputs: list[str]) -> str:
        cells = [
            {"cell_type": "markdown", "source": prose},
            {"cell_type": "code", "source": code, "outputs": outputs},
        ]
        path.write_text(json.dumps({"cells": cells}))
        return notebook_hash(path)

    assert hashed("a = 1", "x", []) == hashed("a = 1", "y", ["1"]) != hashed("a = 2", "x", [])


def test_a_processor_is_told_from_the_next_generation_of_the_same_name(tmp_path: Path) -> None:
    file, one = (
        tmp_path / "cpuinfo",
        "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n",
    )
    file.write_text(f"{one}\n{one.replace(': 0', ': 1')}")
    assert provenance.processor(file) == "AMD EPYC, family 26, model 2"
    arm = tmp_path / "arm"
    arm.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert provenance.processor(arm) == provenance.processor(tmp_path / "absent") != ""
