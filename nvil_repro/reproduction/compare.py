"""`nvil-repro compare`: our numbers beside the paper's, in its sign and unit, one profile at a time."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nvil_repro.reproduction.experiment import PROFILES
from nvil_repro.reproduction.profiles import EXPERIMENTS, known_profile
from nvil_repro.reproduction.project import project_root, results_folder
from nvil_repro.reproduction.published import RANK, Published, read_published
from nvil_repro.reproduction.results import ResultsError, Row, read_profile

NOT_RUN = "not run"


class Comparison(NamedTuple):
    """A published number and ours; None where there is none. `difference` is ours less the published one.

    `ours` is the mean over seeds at the end of training and `stderr` its standard error over seeds; with one
    seed, that of the estimate over cases, and the note says so.
    """

    experiment: str
    row: str
    metric: str
    published: float | None
    ours: float | None
    stderr: float | None
    difference: float | None
    seeds: int
    protocol: str | None
    note: str


class Summary(NamedTuple):
    """The end of training over seeds, in the sign of the rows."""

    mean: float | None
    stderr: float | None
    seeds: int
    notes: tuple[str, ...]


def compare(published: Sequence[Published], rows: Sequence[Row]) -> list[Comparison]:
    """One comparison for each published number and protocol we ran, "not run" where we ran none.

    Errors: `ResultsError` if the rows are of more than one profile.
    """
    if len(profiles := sorted({row.profile for row in rows})) > 1:
        raise ResultsError(
            f"rows of the profiles {', '.join(profiles)} cannot be compared together: choose one"
        )
    return [comparison for number in published for comparison in _compare_one(number, published, rows)]


def summarise(rows: Sequence[Row]) -> Summary:
    """The last row of each seed, averaged; diverged seeds are left out and named.

    Errors: `ResultsError` if a seed has two last rows.
    """
    last: dict[int | None, Row] = {}
    for row in rows:
        other = last.get(row.seed)
        if other and other.updates == row.updates:
            raise ResultsError(f"two results for one number: {other} and {row}")
        if other is None or (row.updates or 0) > (other.updates or 0):
            last[row.seed] = row
    finite = [row for row in last.values() if math.isfinite(row.value)]
    notes = [f"seed {row.seed}: {row.note}" for row in last.values() if not math.isfinite(row.value)]
    notes += sorted({f"on {row.dataset}" for row in finite if row.dataset.startswith("mnist-b")})
    notes += sorted({f"after {row.updates:,} updates" for row in finite if row.updates})
    if not finite:
        return Summary(None, None, 0, tuple(notes))
    values = [row.value for row in finite]
    if len(values) > 1:
        stderr: float | None = statistics.stdev(values) / math.sqrt(len(values))
    else:
        stderr = finite[0].stderr
        notes.append(
            "one seed: stderr is the estimate's own" if stderr is not None else "one seed: no stderr"
        )
    return Summary(statistics.fmean(values), stderr, len(values), tuple(notes))


def _compare_one(number: Published, published: Sequence[Published], rows: Sequence[Row]) -> list[Comparison]:
    ours = [row for row in rows if number.matches(row)]
    if not ours:
        note = "; ".join(filter(None, (NOT_RUN, number.note)))
        return [Comparison(*number[:4], None, None, None, 0, None, note)]
    comparisons = []
    for protocol in dict.fromkeys(row.protocol for row in ours):
        summary = summarise([row for row in ours if row.protocol == protocol])
        if number.measured == RANK:
            summary = _rank(number, summary, published, [row for row in rows if row.protocol == protocol])
        mean = None if summary.mean is None else number.sign * summary.mean
        comparisons.append(
            Comparison(
                *number[:4],
                ours=mean,
                stderr=summary.stderr,
                difference=None if mean is None or number.published is None else mean - number.published,
                seeds=summary.seeds,
                protocol=protocol or None,
                note="; ".join(filter(None, (*summary.notes, _length(ours[0].profile), number.note))),
            )
        )
    return comparisons


def _rank(number: Published, own: Summary, published: Sequence[Published], rows: Sequence[Row]) -> Summary:
    """The place of one variant's mean among those of all variants of its panel; a diverged seed makes it the last."""
    panel = [other for other in published if (other.table, other.measured) == (number.table, RANK)]
    matching = [[row for row in rows if other.matches(row)] for other in panel]
    if not all(matching):
        return own._replace(mean=None, stderr=None, notes=(f"needs all {len(panel)} variants",))
    if own.mean is None:
        return own
    means = {number: _worst_if_diverged(group) for number, group in zip(panel, matching, strict=True)}
    better = sum(mean > means[number] for mean in means.values())
    return own._replace(
        mean=1.0 + better, stderr=None, notes=tuple(n for n in own.notes if "one seed" not in n)
    )


def _worst_if_diverged(rows: Sequence[Row]) -> float:
    mean = summarise(rows).mean
    return mean if mean is not None and all(math.isfinite(row.value) for row in rows) else -math.inf


def _length(profile: str) -> str:
    return "" if profile == "paper" else f"{profile} profile: far shorter than the paper's training"


def load_comparison(root: Path, profile: str) -> list[Comparison]:
    """Compare what lies in the results of `profile`. Errors: `ResultsError`, `OSError`."""
    rows = read_profile(results_folder(root, profile), profile, EXPERIMENTS)
    return compare(read_published(root / "results" / "published.csv"), rows)


def to_json(comparisons: Sequence[Comparison]) -> str:
    """A JSON list of objects with the fields of `Comparison`; null, never NaN, for what is missing."""
    return json.dumps([comparison._asdict() for comparison in comparisons], indent=2, allow_nan=False)


def to_text(comparisons: Sequence[Comparison], profile: str, complete: bool = True) -> str:
    """An aligned table of what was run, its notes, and what was not: named, with its published number, if `complete`,
    else counted.
    """
    done = [c for c in comparisons if not c.note.startswith(NOT_RUN)]
    waiting = [c for c in comparisons if c.note.startswith(NOT_RUN)]
    notes = footnotes(done)
    lines: list[tuple[str, ...]] = [
        ("row", "metric", "paper", "ours", "stderr", "difference", "seeds", "protocol", "")
    ]
    for c in done:
        mark = f"[{notes[c.note]}]" if c.note else ""
        lines.append((c.row, c.metric, *numbers(c), str(c.seeds), c.protocol or "–", mark))
    parts = [f"Comparison with the paper, {profile} profile"]
    header, *body = _align(lines)
    for experiment in dict.fromkeys(c.experiment for c in done):
        parts += ["", experiment, f"  {header}"]
        parts += [f"  {line}" for c, line in zip(done, body, strict=True) if c.experiment == experiment]
    parts += [""] * bool(notes)
    parts += [
        textwrap.fill(f"[{number}] {note}", 110, subsequent_indent="    ") for note, number in notes.items()
    ]
    if not done:
        own = "" if profile == "paper" else "; --profile paper shows those that come with the repository"
        parts += ["", f"no results here yet; make them by: nvil-repro run --profile {profile}{own}"]
    if waiting and not complete:
        parts += ["", f"{len(waiting)} published numbers have no run yet; `nvil-repro compare` names them"]
    for experiment in dict.fromkeys(c.experiment for c in waiting if complete):
        names = "; ".join(dict.fromkeys(printed(c) for c in waiting if c.experiment == experiment))
        parts += ["", textwrap.fill(f"{NOT_RUN}: {experiment}: {names}", 110, subsequent_indent="    ")]
    return "\n".join(parts)


def printed(c: Comparison) -> str:
    """A row with its published number, "SBN 50 (909)"; of a rank, or where none is printed, with its metric."""
    number = numbers(c)[0]
    if c.published is None:
        return f"{c.row} ({c.metric})"
    return f"{c.row} ({c.metric} {number})" if c.metric.startswith("order") else f"{c.row} ({number})"


def footnotes(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """The different notes, numbered from 1 in order of appearance."""
    return {note: i for i, note in enumerate(dict.fromkeys(c.note for c in comparisons if c.note), start=1)}


def numbers(c: Comparison) -> tuple[str, str, str, str]:
    """Published, ours, stderr and difference as text: the paper's as printed, ours whole for ranks and
    perplexities, else to two places; a dash for none.
    """
    places = 0 if c.metric.startswith("order") or c.metric.endswith("perplexity") else 2
    return (
        show(c.published, ".1f" if places and c.published and c.published.is_integer() else ""),
        show(c.ours, f".{places}f"),
        show(c.stderr, ".2f"),
        show(c.difference, f"+.{places}f"),
    )


def show(value: float | None, form: str) -> str:
    """A number in a format, a dash for none."""
    return "–" if value is None else format(value, form or "g")


def _align(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = {0, 1, 7, 8}
    return [
        "  ".join(
            cell.ljust(w) if i in text else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `nvil-repro compare`."""
    parser.add_argument("--profile", default="quick", help=f"one of {', '.join(PROFILES)} (default: quick)")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def main(args: argparse.Namespace) -> int:
    """Print the comparison."""
    profile = known_profile(args.profile)
    comparisons = load_comparison(project_root(), profile)
    print(to_json(comparisons) if args.json else to_text(comparisons, profile))
    return 0
