"""What an experiment is: a notebook, its settings in each profile, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

PROFILES = ("smoke", "quick", "paper")
DEVICES = ("cpu", "cuda")


class Figure(NamedTuple):
    """A picture a notebook saves: the stem of its files and the caption of the report."""

    name: str
    caption: str


@dataclass(frozen=True)
class Experiment:
    """A notebook, its settings in each profile, what it leaves behind, the most threads it can use, and the experiments
    it waits for, since it reads the nets they have trained, or their rows.
    """

    name: str
    notebook: str
    title: str
    profiles: Mapping[str, Any]
    figures: tuple[Figure, ...] = ()
    threads: int = 2
    after: tuple[str, ...] = ()

    def products(self, results: Path) -> list[Path]:
        """The files that its notebook leaves in the folder `results`: rows and figures."""
        pictures = [f"{figure.name}.{kind}" for figure in self.figures for kind in ("svg", "png")]
        return [results / f"{self.name}.csv", *(results / "figures" / name for name in pictures)]
