"""`nvil-repro report`: one self-contained HTML page of a profile's results."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from nvil_repro.files import write_atomic
from nvil_repro.reproduction.cells import expected_hashes
from nvil_repro.reproduction.compare import (
    NOT_RUN,
    Comparison,
    footnotes,
    load_comparison,
    numbers,
    printed,
    show,
    summarise,
)
from nvil_repro.reproduction.experiment import PROFILES, Experiment
from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.profiles import EXPERIMENTS, known_profile
from nvil_repro.reproduction.project import project_root, results_folder
from nvil_repro.reproduction.results import ResultsError, Row, read_profile

TEMPLATES = Path(__file__).parent / "templates"
NATS = ("bound", SEARCH, "log_likelihood", "importance_weighted", "log_z", "log_p_empty")
FOLDED = 30  # lines of a table that is shown at once; a longer one opens on a click
SPLITS = {"train": "training", "valid": "validation", "test": "test", "": ""}


class Picture(NamedTuple):
    """A figure of the page: its caption and its file as a data URI."""

    name: str
    caption: str
    uri: str


class Line(NamedTuple):
    """A line of a results table, all text: the end of training over seeds."""

    network: str
    variant: str
    protocol: str
    metric: str
    value: str
    stderr: str
    seeds: str
    updates: str
    seconds: str


class Section(NamedTuple):
    """One experiment of the page."""

    experiment: Experiment
    facts: dict[str, str]
    pictures: list[Picture]
    lines: list[Line]
    notebook: str | None


def render(root: Path, profile: str) -> str:
    """The page of `profile` as HTML. Errors: `ResultsError` if the profile has no results."""
    import jinja2

    folder = results_folder(root, profile)
    rows = read_profile(folder, profile, EXPERIMENTS)
    if not rows:
        raise ResultsError(f"{folder} holds no results to report; run: nvil-repro run --profile {profile}")
    comparisons = load_comparison(root, profile)
    compared = [c for c in comparisons if not c.note.startswith(NOT_RUN)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["numbers"] = numbers
    return environment.get_template("report.html").render(
        profile=profile,
        folded=FOLDED,
        made=date.today().isoformat(),
        facts=_facts(rows),
        caveats=caveats(rows, profile),
        compared=compared,
        notes=footnotes(compared),
        waiting=_waiting(comparisons),
        titles={experiment.name: experiment.title for experiment in EXPERIMENTS.values()},
        sections=[
            _section(folder, experiment, own)
            for experiment in EXPERIMENTS.values()
            if (own := [row for row in rows if row.experiment == experiment.name])
        ],
    )


def caveats(rows: Sequence[Row], profile: str) -> list[str]:
    """What a reader must know before believing the numbers, one sentence each."""
    said = []
    if profile != "paper":
        said.append(
            f"The {profile} profile trains far shorter than the paper did: its bounds are worse than the "
            "printed ones by construction. The paper profile is the full-size run."
        )
    for dataset in sorted({row.dataset for row in rows if row.dataset.startswith("mnist-b")}):
        said.append(
            f"The data are {dataset}: MNIST binarised with a pinned seed, not the paper's fixed binarisation."
        )
    for row in rows:
        if row.value != row.value:
            who = " ".join(filter(None, (row.model, row.dims, row.variant, row.protocol)))
            said.append(f"{row.experiment}, {who}, seed {row.seed}: {row.note}.")
    if any(row.code_version.endswith("+dirty") for row in rows):
        said.append(
            "The code held changes that no commit records; the code version names the commit before them."
        )
    for experiment in EXPERIMENTS.values():
        hashes = {row.settings_hash for row in rows if row.experiment == experiment.name}
        if hashes - expected_hashes(experiment, experiment.profiles[profile]):
            said.append(
                f"{experiment.name} was run with settings the {profile} profile no longer has; run it again."
            )
    return list(dict.fromkeys(said))


def _facts(rows: Sequence[Row]) -> dict[str, str]:
    names = {
        "Hardware": "device",
        "Threads": "threads",
        "Code version": "code_version",
        "torch": "torch_version",
        "Data": "dataset",
    }
    return {
        title: ", ".join(sorted({str(getattr(row, name)) for row in rows})) for title, name in names.items()
    }


def _section(folder: Path, experiment: Experiment, rows: Sequence[Row]) -> Section:
    notebook = folder / "notebooks" / experiment.notebook
    seeds = sorted({row.seed for row in rows if row.seed is not None})
    settings = sorted({row.settings_hash for row in rows})
    facts = {
        "Settings": settings[0] if len(settings) == 1 else f"{len(settings)}, in the rows",
        "Seeds": ", ".join(map(str, seeds)),
    }
    if (seconds := _wall_time(notebook)) is not None:
        facts = {"Last sitting": duration(seconds), **facts}
    pictures = [
        Picture(figure.name, figure.caption, _data_uri(path))
        for figure in experiment.figures
        if (path := folder / "figures" / f"{figure.name}.svg").is_file()
    ]
    return Section(
        experiment,
        facts,
        pictures,
        _lines(rows),
        f"notebooks/{notebook.name}" if notebook.is_file() else None,
    )


def _lines(rows: Sequence[Row]) -> list[Line]:
    from nvil_repro.learning.nvil import LABELS

    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        net = (row.dataset, row.model, row.dims, row.protocol, row.variant, row.method)
        groups.setdefault((row.split, row.metric, *net, _apart(row)), []).append(row)
    several = len({row.dataset for row in rows}) > 1
    lines = []
    for (split, metric, dataset, model, dims, protocol, variant, method, apart), group in groups.items():
        summary, form = summarise(group), ".2f" if metric in NATS else ".3g"
        last = max(group, key=lambda row: row.updates or 0)
        label = (LABELS[variant],) if variant in LABELS else (method, variant)
        lines.append(
            Line(
                network=f"{model} {dims}".strip() + f", {dataset}" * several,
                variant=", ".join(filter(None, (*label, apart))),
                protocol=protocol or "–",
                metric=f"{SPLITS.get(split, split)} {metric.replace('_', ' ')}".strip(),
                value="diverged" if summary.mean is None else show(summary.mean, form),
                stderr=show(summary.stderr, form),
                seeds=str(summary.seeds),
                updates="–" if last.updates is None else f"{last.updates:,}",
                seconds="–" if last.seconds is None else duration(last.seconds),
            )
        )
    return lines


def _apart(row: Row) -> str:
    """What else must agree for a mean over seeds to mean something: a factor of the rates; nothing does for Z."""
    if row.metric == SEARCH:
        return row.note
    return f"seed {row.seed}" if row.metric == "log_z" and row.seed is not None else ""


def _waiting(comparisons: Sequence[Comparison]) -> dict[str, list[str]]:
    waiting: dict[str, list[str]] = {}
    for c in comparisons:
        if c.note.startswith(NOT_RUN):
            waiting.setdefault(c.experiment, []).append(printed(c))
    return waiting


def duration(seconds: float) -> str:
    """Seconds as a reader says them: "8 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _wall_time(notebook: Path) -> float | None:
    """How long the kept notebook ran, seconds, as papermill noted in it; what earlier sittings trained is not in it."""
    try:
        return float(json.loads(notebook.read_text())["metadata"]["papermill"]["duration"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _data_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `nvil-repro report`."""
    parser.add_argument("--profile", default="quick", help=f"one of {', '.join(PROFILES)} (default: quick)")


def main(args: argparse.Namespace) -> int:
    """Write the report beside the results and say where it is."""
    profile, root = known_profile(args.profile), project_root()
    path: Any = write_atomic(results_folder(root, profile) / "report.html", render(root, profile))
    print(f"Report: {path}")
    return 0
