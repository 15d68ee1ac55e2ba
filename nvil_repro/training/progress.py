"""Progress with time left: a bar where someone watches, one line per report where nobody does.

    with Progress(total=2000, title="SBN 200") as progress:
        ...
        progress.step(50)
        progress.report("full -112.3")

A terminal and JupyterLab show a bar (where tqdm is installed); pipes, papermill and batch jobs get lines. The
environment variable NVIL_REPRO_PROGRESS (bar, lines or off) overrides that, and the argument overrides both.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from textwrap import shorten
from typing import Any

STYLES = ("bar", "lines", "off")


class Progress:
    """Counts `total` units of work, of which `done` lie behind us already (a resumed run).

    Errors: `ValueError` for an unknown style.
    """

    def __init__(
        self, total: int, title: str = "", *, unit: str = "update", done: int = 0, style: str | None = None
    ) -> None:
        self.style = style or os.environ.get("NVIL_REPRO_PROGRESS") or _style()
        if self.style not in STYLES:
            raise ValueError(f"unknown progress style {self.style!r}; choose from {', '.join(STYLES)}")
        self.total, self.title, self.unit = total, title, unit
        self.done = done
        self._timed: tuple[int, float] | None = (
            None  # units done and time after the first step, which may compile
        )
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self.style == "bar":
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=self.total,
                initial=self.done,
                desc=self.title or None,
                unit=f" {self.unit}s",
                smoothing=0.1,
            )
        elif self.done:
            self._say(f"continues at {self.unit} {self.done:,} of {self.total:,}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, count: int) -> None:
        """`count` more units are done."""
        self.done += count
        self._timed = self._timed or (self.done, time.monotonic())
        if self._bar is not None:
            self._bar.update(count)

    def report(self, text: str) -> None:
        """Say how things stand: behind the bar, or in a line with share done, speed and time left."""
        if self._bar is not None:
            self._bar.set_postfix_str(shorten(text, 40, placeholder=" …"))  # more would squeeze the bar out
        else:
            share = f"{self.done:,}/{self.total:,} {self.unit}s ({self.done / max(self.total, 1):.0%})"
            self._say(f"{share}  {text}{self._pace()}")

    def _pace(self) -> str:
        if self._timed is None or self.done == self._timed[0]:
            return ""
        first, began = self._timed
        speed = (self.done - first) / max(time.monotonic() - began, 1e-9)
        return f"  {speed:,.3g} {self.unit}s/s, {clock((self.total - self.done) / speed)} left"

    def _say(self, text: str) -> None:
        if self.style == "lines":
            print(f"{self.title}: {text}" if self.title else text, flush=True)


def clock(seconds: float) -> str:
    """`4:09`, `1:02:33`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _style() -> str:
    """A bar in a terminal and in an open notebook, whose server names the session to the kernel."""
    watched = sys.stderr.isatty() or ("ipykernel" in sys.modules and "JPY_SESSION_NAME" in os.environ)
    return "bar" if watched and find_spec("tqdm") else "lines"
