"""Committed notebooks are numbered, stripped, bound to no machine's kernel, parameterised and short."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
FIRST_PARAMETER = re.compile(r"""(#.*\n|\s)*profile(: *str)? *= *["']smoke["']""")


def faults(notebook: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a notebook as committed."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    if any(cell["outputs"] or cell["execution_count"] is not None for cell in code):
        yield "committed with outputs: run make format"
    if [cell["id"] for cell in notebook["cells"]] != [str(n) for n in range(len(notebook["cells"]))]:
        yield "its cells are not numbered: run make format"
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "its kernelspec is not python3"
    parameters = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    if len(parameters) != 1:
        yield f"{len(parameters)} cells are tagged parameters, not one"
    elif not FIRST_PARAMETER.match("".join(parameters[0]["source"])):
        yield "its first parameter is not profile with the default smoke"
    if len(code) > 12:
        yield f"{len(code)} code cells, at most 12: logic belongs in the package"


def test_notebooks_are_there_and_numbered() -> None:
    numbers = [path.name.partition("_")[0] for path in NOTEBOOKS]
    assert numbers
    assert all(re.fullmatch(r"\d\d", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)  # the plan has gaps until all are written


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_clean(path: Path) -> None:
    assert list(faults(json.loads(path.read_text()))) == []


def cell(source: str, *tags: str, count: int | None = None) -> dict[str, Any]:
    return {
        "id": "",
        "cell_type": "code",
        "execution_count": count,
        "metadata": {"tags": tags},
        "outputs": [],
        "source": [source],
    }


PARAMETERS = cell('# how much\nprofile: str = "smoke"', "parameters")


@pytest.mark.parametrize(
    ("cells", "kernel", "fault"),
    [
        ([PARAMETERS, *[cell("1")] * 12], "python3", "13 code cells"),
        ([PARAMETERS, cell("1", count=3)], "python3", "with outputs"),
        ([PARAMETERS], "my-venv", "not python3"),
        ([PARAMETERS, PARAMETERS], "python3", "2 cells are tagged"),
        ([cell("1")], "python3", "0 cells are tagged"),
        ([cell('profile = "paper"', "parameters")], "python3", "first parameter"),
        ([cell('seed = 0\nprofile = "smoke"', "parameters")], "python3", "first parameter"),
    ],
)
def test_an_unclean_notebook_is_noticed(cells: list[dict[str, Any]], kernel: str, fault: str) -> None:
    (found,) = faults({"cells": numbered(cells), "metadata": {"kernelspec": {"name": kernel}}})
    assert fault in found
    sound = {"cells": numbered([PARAMETERS]), "metadata": {"kernelspec": {"name": "python3"}}}
    assert list(faults(sound)) == []


def numbered(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**cell, "id": str(n)} for n, cell in enumerate(cells)]


def test_cells_that_are_not_numbered_are_noticed() -> None:
    cells = [*numbered([PARAMETERS]), {**cell("1"), "id": "samples"}]
    (found,) = faults({"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}})
    assert "run make format" in found
