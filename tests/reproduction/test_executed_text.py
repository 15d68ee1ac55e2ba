"""What the committed notebooks say is what today's notebooks say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.reproduction.executed_text import renew_text, with_text_of

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = sorted((ROOT / "results" / "paper" / "notebooks").glob("*.ipynb"))
SOURCE: dict[str, Any] = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["now"]},
        {"cell_type": "code", "metadata": {}, "source": ["new"], "outputs": []},
    ]
}
RAN: dict[str, Any] = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["then"]},
        {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": ["p = 1"]},
        {"cell_type": "code", "metadata": {}, "source": ["old"], "outputs": ["out"]},
    ],
    "metadata": {"papermill": {}},
}


@pytest.mark.parametrize("executed", EXECUTED, ids=lambda path: path.name)
def test_committed_notebooks_tell_todays_story(executed: Path) -> None:
    """Or `make readme` is due."""
    source = json.loads((ROOT / "notebooks" / executed.name).read_text(encoding="utf-8"))
    found = json.loads(executed.read_text(encoding="utf-8"))
    assert with_text_of(found, source) == found
    source["cells"][0]["source"] = ["another claim"]
    assert with_text_of(found, source) != found  # control


def test_text_is_todays_and_all_else_is_as_it_ran(tmp_path: Path) -> None:
    before = copy.deepcopy(RAN)
    found = with_text_of(RAN, SOURCE)
    assert before == RAN
    assert found["cells"][0]["source"] == ["now"]
    assert (found["cells"][1:], found["metadata"]) == (RAN["cells"][1:], RAN["metadata"])
    executed, source = tmp_path / "ran.ipynb", tmp_path / "source.ipynb"
    executed.write_text(json.dumps(RAN))
    source.write_text(json.dumps(SOURCE))
    renew_text(executed, source)
    assert json.loads(executed.read_text()) == found


def test_cells_that_moved_are_refused(tmp_path: Path) -> None:
    executed, source = tmp_path / "ran.ipynb", tmp_path / "source.ipynb"
    executed.write_text(json.dumps(RAN))
    for cells in (SOURCE["cells"][::-1], SOURCE["cells"][:1], SOURCE["cells"] * 2):
        source.write_text(json.dumps({"cells": cells}))
        with pytest.raises(ValueError, match=r"ran\.ipynb: the executed notebook has other cells"):
            renew_text(executed, source)
    assert json.loads(executed.read_text()) == RAN
