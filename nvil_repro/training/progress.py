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
        self.done = self._first = done
        self._began = time.monotonic()
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
        elif self._first:
            self._say(f"continues at {self.unit} {self._first:,} of {self.total:,}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, count: int) -> None:
        """`count` more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)

    def report(self, text: str) -> None:
        """Say how things stand: behind the bar, or in a line with share done, speed and time left."""
        if self._bar is not None:
            self._bar.set_postfix_str(
                shorten(text, 40, placeholder=" …")
            )  # a longer one squeezes the bar out
        else:
            share = f"{self.done:,}/{self.total:,} {self.unit}s ({self.done / max(self.total, 1):.0%})"
            self._say(f"{share}  {text}{self._pace()}")

    def _pace(self) -> str:
        elapsed = time.monotonic() - self._began
        if self.done == self._first or elapsed <= 0:
            return ""
        speed = (self.done - self._first) / elapsed
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
