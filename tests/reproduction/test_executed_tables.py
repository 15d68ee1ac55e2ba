"""What the executed notebooks show of Tables 1 and 2 is what the committed rows say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.reproduction import table_views
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row, read_results

PAPER = Path(__file__).resolve().parents[2] / "results" / "paper"


def shown(notebook: str, code: str) -> str:
    """The table below the one cell that has this code, as HTML."""
    cells = json.loads((PAPER / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
    (cell,) = (each for each in cells if each["cell_type"] == "code" and code in "".join(each["source"]))
    return "".join(cell["outputs"][-1]["data"]["text/html"])


@pytest.mark.parametrize(
    ("name", "above", "below"),
    [
        ("nvil_vs_wake_sleep", "NVIL", "wake-sleep"),
        ("autoregressive_inference", "autoregressive Q", "factorial Q"),
    ],
)
def test_tables_leads_and_costs(name: str, above: str, below: str) -> None:
    rows, notebook = read_results(PAPER / f"{name}.csv"), EXPERIMENTS[name].notebook

    def views(rows: Sequence[Row]) -> dict[str, Any]:
        table = table_views.summary(rows, read_published())
        return {
            "table_views.presented(": table_views.presented(table),
            "table_views.leads(": table_views.leads(table, above, below).round(2),
            "table_views.costs(": table_views.costs(rows).round(2),
        }

    for code, view in views(rows).items():
        assert shown(notebook, code) == view._repr_html_(), code
    # Control: each column's numbers moved, and not all alike.
    moved = [row._replace(value=row.value - len(row.variant)) for row in rows]
    for code, view in views(moved).items():
        assert shown(notebook, code) != view._repr_html_(), code
