"""The README's programs run as they are printed, and its commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nvil_repro.reproduction.notebook import ParameterError, parameters

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.split("\n", 1)[0])
def test_a_program_runs(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_there_are_programs_and_a_broken_one_is_noticed() -> None:
    assert len(PROGRAMS) == 4
    with pytest.raises(AssertionError, match="nvil_los"):
        test_a_program_runs(PROGRAMS[0].replace("nvil_loss", "nvil_los"))


def test_every_command_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^    )make ([a-z]+)\b", README, re.MULTILINE))
    assert {"reproduce", "test", "lab", "bench"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def given_to_papermill(command: str) -> dict[str, Any]:
    """The parameters that papermill injects for a command: -p gives a number or a string, -y what YAML says."""
    words = shlex.split(command)
    pairs = [yaml.safe_load(words[i + 1]) for i, word in enumerate(words) if word == "-y"]
    named = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word == "-p"}
    return {name: value for pair in pairs for name, value in pair.items()} | named


def test_the_papermill_commands_have_parameters_that_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, keeping = re.findall(r"`(papermill [^`]+)`", README)
    assert all(
        (ROOT / word).is_file() for word in shlex.split(f"{command} {keeping}") if "notebooks/" in word
    )
    kept = parameters(given_to_papermill(keeping), "document_perplexity")
    assert (kept.profile, kept.keep, kept.settings.one_seed) == (
        "paper-custom", ROOT / "results" / "paper", (),
    )  # fmt: skip
    run = parameters(given_to_papermill(command), "variance_reduction")
    assert (run.profile, run.settings.seeds) == ("quick-custom", (0, 1, 2))
    with pytest.raises(ParameterError, match=r"seeds = '.0, 1, 2.' .str."):  # control: -p does not make lists
        parameters(given_to_papermill(command.replace("-y 'seeds: ", "-p seeds '")), "variance_reduction")


def test_every_named_file_exists() -> None:
    named = re.findall(r"`((?:[a-z_]+/)*[a-zA-Z_]+\.(?:py|md|cff|yml))`", README)
    missing = [name for name in named if not list(ROOT.glob(f"**/{name}"))]
    assert named
    assert missing == []
