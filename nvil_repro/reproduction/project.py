"""Where the project lies: the folder that holds `workflow/`, `notebooks/` and `results/`."""

from __future__ import annotations

import os
from pathlib import Path

ROOT_VARIABLE = "NVIL_REPRO_ROOT"


class ProjectNotFoundError(ValueError):
    """No folder with `workflow/Snakefile` and `notebooks/` could be found."""


def is_project(folder: Path) -> bool:
    """Whether `folder` holds a workflow and notebooks."""
    return (folder / "workflow" / "Snakefile").is_file() and (folder / "notebooks").is_dir()


def project_root(start: str | Path | None = None) -> Path:
    """The project's folder, absolute: upwards from `start` (default: here), else $NVIL_REPRO_ROOT, else the
    parent of the installed package (an editable install).

    Errors: `ProjectNotFoundError` says where it looked.
    """
    start = Path.cwd() if start is None else Path(start).resolve()
    named = os.environ.get(ROOT_VARIABLE)
    candidates = [start, *start.parents]
    if named:
        candidates.append(Path(named).resolve())
    candidates.append(Path(__file__).resolve().parents[2])
    for folder in candidates:
        if is_project(folder):
            return folder
    raise ProjectNotFoundError(
        f"no project folder (one with workflow/Snakefile and notebooks/) at or above {start}, "
        f"in ${ROOT_VARIABLE} ({named or 'not set'}), or beside the installed package; "
        f"change to the project's folder or set {ROOT_VARIABLE} to it"
    )


def results_folder(root: Path, profile: str) -> Path:
    """Where the results of `profile` lie."""
    return root / "results" / profile
