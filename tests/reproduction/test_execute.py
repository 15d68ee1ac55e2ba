"""A notebook run through papermill by our own path: parameters, live lines, failures kept and told."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from nvil_repro.reproduction import execute as module
from nvil_repro.reproduction.execute import NotebookFailedError, Prefixed, execute, main
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.results import read_results

from .conftest import toy_notebook, write_notebook

QUICKSTART = EXPERIMENTS["quickstart"]


def test_lines_are_whole_and_prefixed() -> None:
    out = io.StringIO()
    stream = Prefixed(out, "[x] ")
    for piece in ("a", "b\nc\rd\n", "\n", "rest"):
        stream.write(piece)
    assert out.getvalue() == "[x] ab\n[x] d\n"


def test_a_notebook_runs_and_leaves_its_products(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = project / "results" / "smoke"
    assert main(["quickstart", "--profile", "smoke", "--results", str(results)]) == 0
    assert "[quickstart] ready\n[quickstart] done in" in capfd.readouterr().out
    assert all(path.is_file() for path in QUICKSTART.products(results))
    (row,) = read_results(results / "quickstart.csv")
    assert (row.profile, row.threads) == ("smoke", 1)
    kept = json.loads((results / "notebooks" / QUICKSTART.notebook).read_text())
    assert any("injected-parameters" in cell["metadata"]["tags"] for cell in kept["cells"])


def test_the_executed_notebook_names_no_folder_of_this_machine(project: Path, tmp_path: Path) -> None:
    """Run from the project's folder, as the workflow does; control: results that lie elsewhere are named in full."""
    for results, named in ((project / "results" / "smoke", False), (tmp_path / "elsewhere", True)):
        assert main(["quickstart", "--profile", "smoke", "--results", str(results)]) == 0
        assert (str(tmp_path) in (results / "notebooks" / QUICKSTART.notebook).read_text()) == named


def test_a_failed_notebook_is_kept_and_tells_its_error(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = 'assert 1 > 2, "the order is another"'
    toy_notebook(project / "notebooks" / QUICKSTART.notebook, "quickstart", body)
    results = project / "results" / "smoke"
    assert main(["quickstart", "--profile", "smoke", "--results", str(results)]) == 1
    out = capfd.readouterr().out
    kept = results / "notebooks" / QUICKSTART.notebook
    assert "AssertionError: the order is another" in out
    assert f"The notebook is kept: {kept.relative_to(project)}" in out
    assert "the order is another" in kept.read_text()


def test_a_notebook_that_leaves_nothing_has_failed(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    toy_notebook(project / "notebooks" / QUICKSTART.notebook, "quickstart", "pass")
    assert main(["quickstart", "--profile", "smoke", "--results", str(project / "results" / "smoke")]) == 1
    assert "without leaving quickstart.csv, quickstart_bound.svg" in capfd.readouterr().out


def test_a_dead_kernel_is_a_failure(project: Path) -> None:
    source = project / "notebooks" / QUICKSTART.notebook
    write_notebook(source, "x = 1", "import os\nos._exit(1)")
    with pytest.raises(NotebookFailedError, match="Kernel died"):
        execute(QUICKSTART, source, project / "kept.ipynb", {})
    assert (project / "kept.ipynb").is_file()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"profile": "smoke", "bound_samples": "false"}, "bound_samples = 'false'"),
        ({"profile": "smoke", "updatse": 3}, 'unknown parameter "updatse"'),
    ],
)
def test_papermills_own_parameters_are_checked_by_the_notebook(
    project: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(NotebookFailedError, match=message):
        execute(QUICKSTART, project / "notebooks" / QUICKSTART.notebook, project / "kept.ipynb", values)


def test_sockets_lie_where_their_path_is_short_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: "/" + "x" * 80)
    assert module._socket_folder() == "/tmp"
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: "/short")
    assert module._socket_folder() == "/short"


def test_unknown_names_stop_before_any_work(project: Path) -> None:
    for arguments in (["quik", "--profile", "smoke"], ["quickstart", "--profile", "quik"]):
        with pytest.raises(ValueError, match="expected one of"):
            main([*arguments, "--results", str(project / "results" / "x")])
    assert not (project / "results" / "x").exists()
    assert module.PARENT_VARIABLE not in os.environ
