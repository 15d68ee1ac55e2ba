"""Tables 1 and 2 of nets small enough to enumerate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvil_repro.reproduction.notebook import Run, parameters

SIZES = {"evaluations": 2, "test_cases": 40, "importance_samples": 400, "importance_cases": 40}


def make_run(folder: Path, experiment: str = "nvil_vs_wake_sleep", **changes: Any) -> Run:
    given = {"models": ["SBN 3-2", "fDARN 3", "mixture of Bernoullis 4"], "passes": [40], **SIZES, **changes}
    return parameters({"profile": "smoke", **given, "results_dir": str(folder)}, experiment)
