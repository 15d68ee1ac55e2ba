"""Numbers that the prose gives a net or a system, "SBN 200 at 113.6", are those of the committed rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from nvil_repro.reproduction.document_systems import PER_CORPUS, PER_DOCUMENT
from nvil_repro.reproduction.naming import DOCUMENT_KINDS, KINDS
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.readme import BEGIN, PAPER
from nvil_repro.reproduction.results import read_profile

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("nvil_vs_wake_sleep", "autoregressive_inference", "document_perplexity")
PERPLEXITIES = (PER_DOCUMENT, PER_CORPUS)
METRICS = ("bound", "log_likelihood", "importance_weighted", *PERPLEXITIES)
NAME = rf"({'|'.join(dict.fromkeys(KINDS + DOCUMENT_KINDS))})( \d[\d-]*\b)?"
SAID = re.compile(rf"{NAME} (?:ends? |comes |is |of [^.,;:()]* )?(?:at|to) (\d+(?:\.\d)?)(?!\d|k| %)")


def said(text: str) -> Iterator[tuple[str, str]]:
    """(name, number); a name without units is that of Table 3's system of 50."""
    for kind, units, number in SAID.findall(text.replace("*", "").replace("\n", " ")):
        yield f"{kind}{units or ' 50'}", number


def numbers() -> set[tuple[str, str]]:
    """Means over seeds as the prose rounds them, nats to a tenth and perplexities to one, and what is printed."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in read_profile(ROOT / "results" / "paper", "paper", EXPERIMENTS):
        if row.split == "test" and row.metric in METRICS and row.experiment in (*TABLES, "quickstart"):
            net = (row.model, row.dims, row.method, row.variant, row.protocol)
            groups.setdefault((row.metric, *net, row.experiment, row.dataset), []).append(row.value)
    ours = {
        (f"{model} {dims}", f"{fmean(values):.0f}" if metric in PERPLEXITIES else f"{-fmean(values):.1f}")
        for (metric, model, dims, *_), values in groups.items()
    }
    return ours | {(f"{p.model} {p.dims}", f"{abs(p.published):g}") for p in read_published() if p.published}


def prose() -> Iterator[tuple[str, str]]:
    """(file, text) of README before its tables, of `results/README.md` and of the notebooks of the three tables."""
    yield "README.md", (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN.format(PAPER))[0]
    yield "results/README.md", (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    for name in TABLES:
        notebook = EXPERIMENTS[name].notebook
        cells = json.loads((ROOT / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
        yield notebook, "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def test_numbers_of_nets_are_those_of_the_rows() -> None:
    known, found = numbers(), 0
    for file, text in prose():
        claims = set(said(text))
        assert claims <= known, (file, claims - known)
        found += len(claims)
    assert found > 20


def test_a_wrong_number_is_noticed() -> None:
    known = numbers()
    assert set(said("SBN 200 ends at 112.9, fDARN 200 at 92.5")) - known == {("SBN 200", "112.9")}
    assert set(said("**SBN 200-200** at\n98.7; DocNADE at 896 and SBN 50 comes to 12")) - known == {
        ("SBN 200-200", "98.7"),
        ("SBN 50", "12"),
    }
