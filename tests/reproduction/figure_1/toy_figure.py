"""Figure 1 of nets small enough to enumerate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction.notebook import Run, parameters

VARIANTS = ("full", "baseline_vn", "baseline", "vn", "none")


def data() -> MnistSplits:
    """140 cases of 30 bits."""
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(140, 30, generator=generator) < torch.rand(30, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


def run(folder: Path) -> Run:
    """Two networks, two seeds, twenty updates."""
    chosen: dict[str, Any] = {"networks": [[3], [3, 2]], "protocols": ["quick"], "seeds": [0, 1]}
    sizes = {"updates": 20, "eval_every": 10, "search_updates": 10, "test_cases": 40, "gradient_samples": 5}
    given = {"profile": "smoke", **chosen, **sizes, "results_dir": str(folder)}
    return parameters(given, "variance_reduction")


def tuned(run: Run) -> Run:
    """One network at rates searched for: the printed ones, and rates by which all diverges."""
    settings = replace(run.settings, protocols=("tuned",), networks=((3,),), factors=(1.0, 1e38))
    return replace(run, settings=settings)
