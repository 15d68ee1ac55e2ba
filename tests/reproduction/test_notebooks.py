"""Every notebook offers exactly the parameters of its experiment, typed, commented and None but for the profile."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import papermill
import pytest

from nvil_repro.reproduction.experiment import Experiment
from nvil_repro.reproduction.notebook import parameter_names
from nvil_repro.reproduction.profiles import EXPERIMENTS

from .conftest import effort

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def faults(cells: list[str], experiment: Experiment) -> Iterator[str]:
    """What is wrong with the first two code cells of an experiment's notebook."""
    given = {}
    for line in filter(str.strip, cells[0].splitlines()):
        (statement,) = ast.parse(line).body or [None]
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            yield f"not a typed assignment: {line}"
        elif "#" not in line:
            yield f"no comment: {line}"
        else:
            given[statement.target.id] = ast.unparse(statement.value) if statement.value else None
    names = list(parameter_names(experiment))
    if list(given) != names:
        yield f"parameters {list(given)}, expected {names}"
    if given != {name: "'smoke'" if name == "profile" else "None" for name in given}:
        yield "a default that is not the profile's own"
    if f'parameters(globals(), "{experiment.name}")' not in cells[1]:
        yield "the second cell does not check the parameters"


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_parameters_are_those_of_the_experiment(experiment: Experiment) -> None:
    path = NOTEBOOKS / experiment.notebook
    assert path.is_file()
    cells = json.loads(path.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert list(faults(sources, experiment)) == []
    assert list(faults([sources[0].replace(effort(experiment), "samples"), sources[1]], experiment))
    assert list(faults([sources[0].replace("None", "3"), sources[1]], experiment))
    assert list(faults([re.sub("#.*", "", sources[0]), sources[1]], experiment))


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_papermill_knows_every_parameter(experiment: Experiment, tmp_path: Path) -> None:
    """It warns of each that it cannot read; it reads `int = None` and not `int | None = None`."""
    source = NOTEBOOKS / experiment.notebook
    names = list(parameter_names(experiment))
    assert list(papermill.inspect_notebook(source)) == names
    name = effort(experiment)
    (tmp_path / "union.ipynb").write_text(source.read_text().replace(f"{name}: int", f"{name}: int | None"))
    assert name not in papermill.inspect_notebook(tmp_path / "union.ipynb")
