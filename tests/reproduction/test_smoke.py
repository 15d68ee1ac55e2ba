"""The real notebooks on real data through papermill by our own path, cut down to seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nvil_repro.reproduction.execute import NotebookFailedError, execute
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.results import read_results

pytestmark = pytest.mark.real_data
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SIZES: dict[str, dict[str, Any]] = {
    "quickstart": {"updates": 1_000},
    "variance_reduction": {
        "networks": [[200]],
        "variants": ["full", "none"],
        "updates": 2_000,
        "gradient_samples": 3,
    },
    "nvil_vs_wake_sleep": {"models": ["SBN 20", "mixture of Bernoullis 10"], "importance_cases": 20},
    "autoregressive_inference": {"models": ["SBN 20"], "importance_cases": 20},
    "continuous_latents": {"estimators": ["full", "none"], "gradient_samples": 3},
    "rbm_training": {"pattern_updates": 200, "samplers": ["CD1"]},
    "partition_function": {"hidden": 14, "rungs": [3, 60], "trials": 10, "tracked_updates": 20},
    "without_partition": {"criteria": ["exact", "PCD", "pseudolikelihood"], "draws": 3, "rungs": 50},
    "document_perplexity": {"passes": [40], "train_documents": 1_000, "test_documents": 100},
}

PATTERNS = ("bars-and-stripes-", "ring-")  # beside MNIST


def reproduce(name: str, folder: Path, **changes: Any) -> None:
    experiment = EXPERIMENTS[name]
    fewer = {"test_cases": 100} if hasattr(experiment.profiles["smoke"], "test_cases") else {}
    values = {"profile": "smoke", "results_dir": str(folder), **fewer, **SIZES[name], **changes}
    execute(experiment, NOTEBOOKS / experiment.notebook, folder / experiment.notebook, values)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_notebook_leaves_its_rows_and_figures_and_its_claim_holds(name: str, tmp_path: Path) -> None:
    reproduce(name, tmp_path)
    assert all(path.is_file() for path in EXPERIMENTS[name].products(tmp_path))
    rows = read_results(tmp_path / f"{name}.csv")
    assert {(row.experiment, row.profile) for row in rows} == {(name, "smoke-custom")}
    data = "20news, 1,000 documents" if name == "document_perplexity" else ("mnist-", *PATTERNS)
    assert all(row.dataset.startswith(data) for row in rows)


def test_a_claim_that_does_not_hold_fails_and_the_notebook_is_kept(tmp_path: Path) -> None:
    with pytest.raises(NotebookFailedError, match=r"AssertionError.*for independent pixels"):
        reproduce("quickstart", tmp_path, updates=1)
    assert "AssertionError" in (tmp_path / "00_quickstart.ipynb").read_text()
