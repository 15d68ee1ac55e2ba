"""The README's tables, generated from the committed rows: `make readme` writes them between their marks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nvil_repro.files import write_atomic
from nvil_repro.learning.nvil import LABELS
from nvil_repro.reproduction import (
    continuous_claims,
    continuous_figures,
    document_views,
    rbm_claims,
    table_views,
)
from nvil_repro.reproduction.compare import NOT_RUN
from nvil_repro.reproduction.executed_text import renew_text
from nvil_repro.reproduction.presentation import frame_as_markdown, markdown, number
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.project import project_root, results_folder
from nvil_repro.reproduction.protocols import DOCUMENT_PROTOCOLS, PROTOCOLS, protocol_table
from nvil_repro.reproduction.published import Published, read_published
from nvil_repro.reproduction.results import Row, frame, read_profile
from nvil_repro.reproduction.speed import read_benchmarks, speed_section
from nvil_repro.reproduction.variance_views import final_bounds

BEGIN, END = "<!-- written by make readme from {} -->", "<!-- end of what make readme writes -->"
PAPER, BENCHMARKS = "results/paper", "results/benchmarks.json"


def tables(rows: Sequence[Row], published: Sequence[Published]) -> str:
    """The protocols that rows name, then a Markdown table for each experiment that has rows; empty without rows."""
    parts = list(_protocols(rows))
    for name, table in TABLES.items():
        if own := [row for row in rows if row.experiment == name]:
            where, machines = (_all(getattr(row, field) for row in own) for field in ("dataset", "device"))
            heading = f"**{EXPERIMENTS[name].title}**, on {where}, {machines}. {LEGENDS[name]}"
            parts.append(f"{heading}\n\n{table(own, published)}")
    return "\n\n".join(parts)


def _all(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _protocols(rows: Sequence[Row]) -> Iterable[str]:
    """A table for images and one for documents of the protocols that rows name."""
    for title, (known, experiments) in PROTOCOL_TABLES.items():
        named = {row.protocol for row in rows if row.experiment in experiments}
        table = protocol_table({name: how for name, how in known.items() if name in named})
        if not table.empty:
            lines = [
                (str(name), *map(_field, line))
                for name, line in zip(table.index, table.to_numpy(), strict=True)
            ]
            yield f"**{title}**\n\n{markdown(('protocol', *table.columns), lines)}"


PROTOCOL_TABLES: Mapping[str, tuple[Any, Sequence[str]]] = {
    "Protocols of belief nets on images (*tuned*: the rates times a factor of each variant's own)": (
        PROTOCOLS,
        ("quickstart", "variance_reduction", "nvil_vs_wake_sleep", "autoregressive_inference"),
    ),
    "Protocols of document nets": (DOCUMENT_PROTOCOLS, ("document_perplexity",)),
}


def _field(value: Any) -> str:
    return value if isinstance(value, str) else format(value, "g")


def _bound_table(rows: Sequence[Row], published: Sequence[Published]) -> str:
    return frame_as_markdown(table_views.presented(table_views.summary(rows, published)))


def _figure_1(rows: Sequence[Row], published: Sequence[Published]) -> str:
    ends = final_bounds(rows)
    header = ("validation bound at the end", *(f"SBN {dims}, {protocol}" for protocol, dims in ends.columns))
    lines = [
        (LABELS[str(variant)], *(number(value, ".1f") for value in line))
        for variant, line in zip(ends.index, ends.to_numpy(), strict=True)
    ]
    tests = frame(row for row in rows if row.split == "test")
    groups = tests.groupby(["protocol", "dims"])
    means = groups["value"].agg(lambda values: values.mean(skipna=False))
    test_bounds = [number(means.get(panel, math.nan), ".1f") for panel in ends.columns]
    lines.append((f"*test bound of* {LABELS['full']}", *test_bounds))
    lines.append(("*seeds*", *(str(groups["seed"].nunique().get(panel, 0)) for panel in ends.columns)))
    return markdown(header, lines)


def _document_table(rows: Sequence[Row], published: Sequence[Published]) -> str:
    """A table a corpus; all but the first are folded."""
    text = document_views.presented(document_views.summary(rows, published))
    parts: list[str] = []
    for corpus, part in text.groupby(level="corpus", sort=False):
        name = f"{corpus}, {NOT_RUN}" if (part["ours"] == NOT_RUN).all() else corpus
        table = frame_as_markdown(part.droplevel("corpus"))
        fold = f"<details><summary>{name}</summary>\n\n{table}\n\n</details>"
        parts.append(fold if parts else f"{name}:\n\n{table}")
    return "\n\n".join(parts)


def _machine_table(rows: Sequence[Row], published: Sequence[Published]) -> str:
    return frame_as_markdown(rbm_claims.presented(rbm_claims.machine_table(rows, published)))


def _latents_table(rows: Sequence[Row], published: Sequence[Published]) -> str:
    tests = frame(row for row in rows if row.split == "test")
    groups = tests.groupby(["model", "variant", "metric"], sort=False)["value"]
    spread = groups.max() - groups.min()
    lines = [
        (
            model,
            continuous_figures.ALL[variant].label,
            number(-line["bound"], ".1f"),
            number(spread[model, variant, "bound"], ".1f"),
            number(-line["importance_weighted"], ".1f"),
            f"{tests[(tests['model'] == model) & (tests['variant'] == variant)]['seed'].nunique()}",
        )
        for (model, variant), line in continuous_claims.test_table(rows).iterrows()
    ]
    return markdown(("net", "estimator", "test bound", "spread", "importance-weighted", "seeds"), lines)


TABLES: Mapping[str, Callable[[Sequence[Row], Sequence[Published]], str]] = {
    "quickstart": _bound_table,
    "variance_reduction": _figure_1,
    "nvil_vs_wake_sleep": _bound_table,
    "autoregressive_inference": _bound_table,
    "document_perplexity": _document_table,
    "continuous_latents": _latents_table,
    "rbm_training": _machine_table,
}


_SEEDS = "*spread* is the range over seeds"
_MINUTES = "*minutes* are those of one thread and one seed, mostly beside other work: not to be compared"
_BOUNDS = (
    "Nats, lower is better; after ± the standard error over test cases (the paper's cases, too: differences are surer "
    f"than that); {_SEEDS}; *importance-weighted* estimates are of some of the cases, carried over to all by what they "
    f"gain on the bound; {_MINUTES}."
)
LEGENDS: Mapping[str, str] = {
    "quickstart": _BOUNDS,
    "variance_reduction": "Nats, higher is better, means over seeds; *IDB* is the input-dependent baseline, *VN* "
    "variance normalisation. As in the figure the bounds are of 100 validation cases, which happen to be easier than "
    "the test set.",
    "nvil_vs_wake_sleep": f"{_BOUNDS} An fDARN has an autoregressive prior.",
    "autoregressive_inference": _BOUNDS,
    "document_perplexity": "Perplexity per document, lower is better; after ± the standard error over test documents; "
    "LDA is fitted by variational Bayes or, *Gibbs*, by collapsed Gibbs sampling; "
    "*interval*: of the replicated softmax, by three standard errors of its partition functions, which few chains may "
    f"carry; {_SEEDS}; *importance-weighted*: by 1,000 samples a document, of 1,000 of them, carried over to all by "
    f"what they gain on the bound; {_MINUTES}.",
    "continuous_latents": f"Nats, lower is better; {_SEEDS}.",
    "rbm_training": "Nats, higher is better; after ± the standard error over test cases; *from* and *to* are the "
    "ends of the bracket, moved outwards by three standard errors, *RAISE* is an estimate by chains run backwards, "
    "which errs downwards; *log p(0)* is that of the empty image.",
}


def renewed(readme: str, source: str, section: str) -> str:
    """The README with `section` between the marks of what comes from `source`.

    Errors: `ValueError` if it does not have both, in order.
    """
    mark = BEGIN.format(source)
    before, begin, rest = readme.partition(mark)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md must hold the lines {mark} and {END}, in this order")
    return f"{before}{mark}\n\n{section}\n\n{END}{after}" if section else f"{before}{mark}\n\n{END}{after}"


def paper_section(root: Path) -> str:
    """`tables` of the committed rows. Errors: `ResultsError` if they are not this project's."""
    rows = read_profile(results_folder(root, "paper"), "paper", EXPERIMENTS)
    return tables(rows, read_published(root / "results" / "published.csv"))


def renewed_from_results(readme: str, root: Path) -> str:
    """The README with all that is generated. Errors: those of `paper_section`, `read_benchmarks` and `renewed`."""
    readme = renewed(readme, PAPER, paper_section(root))
    return renewed(readme, BENCHMARKS, speed_section(read_benchmarks(root / BENCHMARKS)))


def main() -> None:
    """Write the README's tables and the text of the committed notebooks again."""
    root = project_root()
    path = root / "README.md"
    write_atomic(path, renewed_from_results(path.read_text(encoding="utf-8"), root))
    for executed in sorted((results_folder(root, "paper") / "notebooks").glob("*.ipynb")):
        renew_text(executed, root / "notebooks" / executed.name)


if __name__ == "__main__":
    main()
