"""Where the project is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvil_repro.reproduction import project as module
from nvil_repro.reproduction.project import ProjectNotFoundError, project_root


def test_from_any_folder_inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "notebooks")
    assert project_root() == project.resolve()


def test_the_folder_wins_over_the_variable_and_the_variable_over_the_package(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(module.ROOT_VARIABLE, str(tmp_path))
    assert project_root() == project.resolve()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(module.ROOT_VARIABLE, str(project))
    assert project_root() == project.resolve()


def test_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(project / "nvil_repro" / "reproduction" / "project.py"))
    assert project_root() == project.resolve()


def test_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "__file__", str(tmp_path / "site" / "nvil_repro" / "reproduction" / "project.py")
    )
    monkeypatch.delenv(module.ROOT_VARIABLE, raising=False)
    with pytest.raises(ProjectNotFoundError, match="workflow/Snakefile") as error:
        project_root(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "not set" in str(error.value)


def test_a_workflow_without_notebooks_is_no_project(project: Path) -> None:
    assert module.is_project(project)
    (project / "notebooks").rename(project / "elsewhere")
    assert not module.is_project(project)
