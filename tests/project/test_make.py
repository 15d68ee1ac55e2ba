"""`make` explains itself, refuses an unfit Python with what to do, and sets up once, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD = "exit 1"
NEW = 'case "$2" in *"(3, 14)"*|*ensurepip*) exit 1;; esac'
NO_VENV = 'case "$2" in *ensurepip*) exit 1;; esac'
INTERRUPTED = 'case "$1" in -m) mkdir -p .venv; exit 1;; esac'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name and all that `make setup` reads."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder: Path, target: str, python: str = OLD) -> subprocess.CompletedProcess[str]:
    """Run `make target` there with an interpreter that behaves as the shell script `python` says."""
    (folder / "python").write_text(f"#!/bin/sh\n{python}\n")
    (folder / "python").chmod(0o755)
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", target, "PYTHON=./python"]
    return subprocess.run(command, cwd=folder, env=outer, capture_output=True, text=True, timeout=60)


def test_help_lists_every_target(checkout: Path) -> None:
    shown = re.findall(r"^  make ([a-z]+) ", make(checkout, "help").stdout, re.M)
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (checkout / "Makefile").read_text(), re.M)
    assert shown == phony.split()
    assert {"reproduce", "test", "lab", "bench", "lint", "help"} <= set(shown)


@pytest.mark.parametrize(
    ("python", "advice"), [(OLD, "not Python 3.11 or newer"), (NO_VENV, "apt install python3-venv")]
)
def test_an_unfit_python_is_refused(checkout: Path, python: str, advice: str) -> None:
    refused = make(checkout, "test", python)
    assert refused.returncode != 0
    assert advice in refused.stdout
    assert not (checkout / ".venv").exists()


def test_a_python_newer_than_the_locked_versions_is_told(checkout: Path) -> None:
    assert "needs a C compiler" in make(checkout, "setup", NEW).stdout
    assert "needs a C compiler" not in make(checkout, "setup", NO_VENV).stdout


def test_an_interrupted_setup_is_taken_up_again(checkout: Path) -> None:
    for _ in range(2):
        stopped = make(checkout, "setup", INTERRUPTED)
        assert stopped.returncode != 0
        assert "Setting up" in stopped.stdout


def test_setup_is_done_once_until_the_lock_changes(checkout: Path) -> None:
    stamp = checkout / ".venv" / ".complete"
    stamp.parent.mkdir()
    stamp.touch()
    assert make(checkout, "setup").returncode == 0
    later = stamp.stat().st_mtime + 10
    os.utime(checkout / "requirements.lock", (later, later))
    assert make(checkout, "setup").returncode != 0
