"""A project in a temporary folder whose notebooks are toys, and rows without torch's cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.reproduction.experiment import Experiment
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.results import Row

HERE = Path(__file__).resolve().parents[2]

PUBLISH = """
from matplotlib import pyplot
from nvil_repro.reproduction import publish, result_row, save_figure
for entry in run.experiment.figures:
    figure, axes = pyplot.subplots(figsize=(4, 3))
    axes.plot([1, 2])
    save_figure(figure, entry.name, run)
publish(run, [result_row(run, dataset="mnist-fixed", model="SBN", layers=(200,), protocol="quick", variant="full",
    seed=0, updates=3000, split="test", metric="bound", value=-130.5, stderr=0.25, n=10000, seconds=1.5)]);
"""


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, the first tagged `parameters`."""
    code = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {"tags": ["parameters"]} if i == 0 else {},
            "source": source,
        }
        | {"outputs": [], "execution_count": None}
        for i, source in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def effort(experiment: Experiment) -> str:
    """The name of a setting that is a whole number of at least 2."""
    return "bound_samples" if hasattr(experiment.profiles["smoke"], "bound_samples") else "chains"


def toy_notebook(path: Path, experiment: str, body: str = PUBLISH) -> None:
    """A notebook that checks its parameters as the real ones do, then runs `body`."""
    check = "from nvil_repro.reproduction import parameters\n"
    check += f'run = parameters(globals(), "{experiment}")\nprint("ready")'
    write_notebook(
        path, f'profile = "smoke"\n{effort(EXPERIMENTS[experiment])} = None\nresults_dir = None', check, body
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with toy notebooks, made the current folder."""
    root = tmp_path / "a project"
    (root / "notebooks").mkdir(parents=True)
    (root / "results").mkdir()
    for name in (
        "workflow",
        "nvil_repro",
    ):  # a package of its own: another's edit during a test is not its edit
        shutil.copytree(HERE / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "results" / "published.csv", root / "results")
    for experiment in EXPERIMENTS.values():
        toy_notebook(root / "notebooks" / experiment.notebook, experiment.name)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return root


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """Make a row: SBN 200's test bound by NVIL, unless said otherwise."""

    def make(**changes: Any) -> Row:
        fields: dict[str, Any] = {
            "experiment": "variance_reduction", "dataset": "mnist-fixed", "model": "SBN", "dims": "200",
            "method": "NVIL", "protocol": "quick", "variant": "full", "seed": 0, "updates": 50_000, "split": "test",
            "metric": "bound", "value": -120.0, "stderr": 0.25, "n": 10_000, "seconds": 12.5, "device": "cpu (some)",
            "threads": 2, "profile": "quick", "settings_hash": "0123456789ab", "code_version": "abc",
            "torch_version": "2.13.0", "note": "",
        }  # fmt: skip
        return Row(**{**fields, **changes})

    return make


@pytest.fixture
def drawing() -> Iterator[None]:
    """Figures without a screen, closed afterwards; matplotlib's settings as before."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield
    pyplot.close("all")
