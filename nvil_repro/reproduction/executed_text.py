"""Executed notebooks tell today's story: their text cells are those of `notebooks/`, code and outputs as they ran.

What a run means is often seen after it, and to run it again for a sentence would take hours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvil_repro.files import write_atomic

INJECTED = "injected-parameters"  # papermill's own cell, which no source has


def with_text_of(executed: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """An executed notebook with the text cells of its source.

    Errors: `ValueError` if their cells are not of the same kinds in the same order.
    """
    cells = [dict(cell) for cell in executed["cells"]]
    ran = [cell for cell in cells if INJECTED not in cell["metadata"].get("tags", [])]
    if [cell["cell_type"] for cell in ran] != [cell["cell_type"] for cell in source["cells"]]:
        raise ValueError("the executed notebook has other cells than today's; run it again")
    for cell, now in zip(ran, source["cells"], strict=True):
        if cell["cell_type"] == "markdown":
            cell["source"] = now["source"]
    return {**executed, "cells": cells}


def renew_text(executed: Path, source: Path) -> None:
    """`with_text_of` those files, in place. Errors: as there, naming the file."""
    was = executed.read_text(encoding="utf-8")
    try:
        now = with_text_of(json.loads(was), json.loads(source.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{executed}: {error}") from None
    if now != json.loads(was):
        write_atomic(executed, json.dumps(now, indent=1, ensure_ascii=False) + "\n")
