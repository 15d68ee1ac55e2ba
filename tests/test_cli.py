"""The command line: quick, lazy, and clear about what it does not know."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nvil_repro import __version__
from nvil_repro.cli import COMMANDS, main
from nvil_repro.reproduction import bench_command

ROOT = Path(__file__).resolve().parents[1]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"nvil-repro {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: nvil-repro {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quik"], 'unknown experiment "quik"; expected one of quickstart, variance_reduction'),
        (["run", "--profile", "quik"], 'unknown profile "quik"; expected one of smoke, quick, paper'),
        (["run", "--cores", "none"], "--cores none: expected"),
        (["compare", "--profile", "quik"], "expected one of smoke, quick, paper"),
        (["report", "--profile", "quik"], "expected one of smoke, quick, paper"),
    ],
)
def test_unknown_names(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nvil-repro {arguments[0]}: ")
    assert message in error


def test_an_unknown_command_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["trian"])
    told = capsys.readouterr().err.replace("'", "")  # which Python 3.12 writes no more
    assert "choose from data, run, compare, report, bench" in told


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_command, "main", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["bench"])


def test_bench_runs_the_projects_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("workflow/Snakefile", "notebooks/x", "benchmarks/__init__.py", "benchmarks/update.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "path", [*sys.path])
    importlib.invalidate_caches()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "benchmarks" / "update.py").write_text(
        "def main(json, parts):\n    print('[]' if json else ' '.join(parts))\n    return 0"
    )
    assert main(["bench", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["bench", "peers", "rbm"]) == 0
    assert capsys.readouterr().out == "peers rbm\n"
    monkeypatch.delitem(sys.modules, "benchmarks.update")
    monkeypatch.delitem(sys.modules, "benchmarks")
    (tmp_path / "benchmarks" / "update.py").unlink()
    assert main(["bench"]) == 2
    assert "benchmarks run from a checkout" in capsys.readouterr().err


def test_comparing_does_not_wait_for_torch() -> None:
    code = "import sys; from nvil_repro.cli import main; main(['compare', '--json']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0
    assert (
        subprocess.run(
            [sys.executable, "-c", f"import torch; {code}"], cwd=ROOT, capture_output=True
        ).returncode
        == 1
    )
