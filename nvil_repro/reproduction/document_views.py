"""What Table 3 says: perplexities beside the paper's, each beside its unigram model's."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nvil_repro.data.corpora import statistics as statistics_of
from nvil_repro.data.counts import Corpus
from nvil_repro.data.rcv1_synthetic import MEAN_LENGTH, SD_LENGTH
from nvil_repro.evaluation.documents import score_unigram
from nvil_repro.evaluation.perplexity import perplexity
from nvil_repro.models.unigram import unigram
from nvil_repro.reproduction.compare import NOT_RUN
from nvil_repro.reproduction.document_systems import LOG_Z, PER_CORPUS, PER_DOCUMENT, interval_of
from nvil_repro.reproduction.naming import UNIGRAM
from nvil_repro.reproduction.presentation import diverged, present
from nvil_repro.reproduction.published import Published, data_of
from nvil_repro.reproduction.results import Row

if TYPE_CHECKING:
    import pandas

_STATISTICS = ("documents", "words", "mean length", "sd", "unigram perplexity")
# Of the corpora behind the printed rows, the first a private file; recalled from the literature, not checked.
PAPERS = {
    "20news": ("the paper's 20 Newsgroups", ("11,314 / 7,531", 2_000, 51.8, 70.8, 1335.0)),
    "rcv1": ("the paper's RCV1-v2", ("794,414 / 10,000", 10_000, MEAN_LENGTH, SD_LENGTH, 2208.0)),
}

# Corpora of any number of words that stand in for one of the paper's.
STAND_INS = {r"reuters21578(-\d+)?": "rcv1"}


def corpora_table(corpora: Mapping[str, Corpus]) -> pandas.DataFrame:
    """A line a corpus: documents of training (with validation) and test, empty ones dropped, lengths of training
    documents, and the unigram model's test perplexity per document; first the paper's own that these are or stand for.
    """
    import pandas

    meant = {_printed_of(name.replace("-raw", "")) for name in corpora}
    lines: dict[str, dict[str, Any]] = {
        name: dict(zip(_STATISTICS, line, strict=True))
        for corpus, (name, line) in PAPERS.items()
        if corpus in meant
    }
    for corpus in corpora.values():
        found, scores = statistics_of(corpus), score_unigram(unigram(corpus.train), corpus.test)
        lines[corpus.dataset] = {
            "documents": f"{found.train_documents:,} / {found.test_documents:,}",
            "dropped": f"{found.dropped[0]} / {found.dropped[1]}",
            "words": len(corpus.words),
            "mean length": found.mean,
            "sd": found.sd,
            "unigram perplexity": perplexity(scores.log_p, corpus.test.lengths).per_document,
        }
    return pandas.DataFrame.from_dict(lines, orient="index")


def summary(rows: Sequence[Row], published: Sequence[Published]) -> pandas.DataFrame:
    """A line a corpus, system, protocol and kind of log P; perplexities, lower is better.

    Columns: corpus, system, protocol, log P is, paper, ours (per document, the paper's definition; mean over seeds that
    did not diverge), stderr (over test documents), spread (largest less smallest seed), seeds, diverged (seeds),
    paper / unigram and ours / unigram (each with its own unigram), corpus perplexity (the other one), validation (the
    best perplexity along a training, by what training watches), documents, updates, minutes (of one thread, a seed),
    interval (of all seeds' partition functions together); updates and note are the first seed's. Of the paper's corpora
    that no row is of, the printed numbers alone, noted "not run".
    """
    import pandas

    tests = [row for row in rows if row.split == "test" and row.metric in (PER_DOCUMENT, PER_CORPUS)]
    unigrams = {
        row.dataset: row.value for row in tests if row.model == UNIGRAM and row.metric == PER_DOCUMENT
    }
    printed = {number.dataset: number.published for number in published if number.model == UNIGRAM}
    lines = [_line(group, published, printed, unigrams) for group in _groups(tests)]
    watched = _watched(rows)
    for line in lines:
        line["validation"] = watched.get((line["corpus"], line["system"], line["protocol"]), math.nan)
    run = {data_of(row.dataset.partition(",")[0]) for row in tests}  # "20news, 2,000 documents"
    numbers = [n for n in published if (n.experiment, n.measured) == ("document_perplexity", PER_DOCUMENT)]
    waiting = [n for n in numbers if n.published is not None and n.dataset not in run]
    table = pandas.DataFrame([*lines, *(_not_run(number, printed) for number in waiting)])
    whole = {name: "Int64" for name in ("seeds", "diverged", "documents", "updates") if name in table}
    return table.astype(whole)


def presented(table: pandas.DataFrame) -> pandas.DataFrame:
    """`summary` as text, errors beside their numbers."""
    ratio = dict.fromkeys(["paper / unigram", "ours / unigram"], ".3f")
    text = present(
        table,
        ["corpus", "system", "protocol", "log P is"],
        {"paper": ".0f", "ours": ".0f", "interval": "", "spread": ".0f", **ratio}
        | {"corpus perplexity": ".0f", "minutes": ".0f", "seeds": ""}
        | diverged(table),
        errors={"ours": "stderr"},
    )
    text.loc[(table["note"] == NOT_RUN).to_numpy(), "ours"] = NOT_RUN
    return text


def _line(
    group: Sequence[Row],
    published: Sequence[Published],
    printed: Mapping[str, float | None],
    unigrams: Mapping[str, float],
) -> dict[str, Any]:
    headlines = [row for row in group if row.metric == PER_DOCUMENT]
    first, values = headlines[0], [row.value for row in headlines if math.isfinite(row.value)]
    numbers = [number.published for number in published if number.matches(first)]
    paper, ours = _known(numbers[0] if numbers else None), _mean(values)
    return {
        "corpus": first.dataset,
        "system": f"{first.model} {first.dims}".strip(),
        "protocol": first.protocol,
        "log P is": first.variant,
        "paper": paper,
        "ours": ours,
        "stderr": _mean(row.stderr for row in headlines),
        "interval": _interval(row.note for row in headlines),
        "spread": max(values) - min(values) if len(values) > 1 else math.nan,
        "seeds": len(values),
        "diverged": len(headlines) - len(values),
        "paper / unigram": paper / _known(printed.get(data_of(first.dataset))),
        "ours / unigram": ours / unigrams.get(first.dataset, math.nan),
        "corpus perplexity": _mean(row.value for row in group if row.metric == PER_CORPUS),
        "documents": first.n,
        "updates": first.updates,
        "minutes": _mean(row.seconds for row in headlines) / 60,
        "note": first.note,
    }


def _not_run(number: Published, printed: Mapping[str, float | None]) -> dict[str, Any]:
    paper = _known(number.published)
    return {
        "corpus": number.dataset,
        "system": f"{number.model} {number.dims}".strip(),
        "protocol": "",
        "log P is": number.variant,
        "paper": paper,
        "ours": math.nan,
        "interval": "",
        "paper / unigram": paper / _known(printed.get(number.dataset)),
        "note": NOT_RUN,
    }


def _watched(rows: Iterable[Row]) -> dict[tuple[str, str, str], float]:
    """By corpus, system and protocol: the best validation perplexity along a training, its mean over seeds that did not
    diverge.
    """
    best: dict[tuple[str, str, str], dict[int | None, float]] = {}
    for row in rows:
        if row.split == "valid":
            seeds = best.setdefault((row.dataset, f"{row.model} {row.dims}", row.protocol), {})
            least = seeds.get(row.seed, math.inf)
            seeds[row.seed] = min(least, math.exp(-row.value)) if math.isfinite(row.value) else math.nan
    finite = {key: [value for value in seeds.values() if math.isfinite(value)] for key, seeds in best.items()}
    return {key: statistics.fmean(values) for key, values in finite.items() if values}


def _interval(notes: Iterable[str]) -> str:
    found = [ends for ends in map(interval_of, notes) if ends]
    return f"{min(low for low, _ in found):.0f} to {max(high for _, high in found):.0f}" if found else ""


def _groups(rows: Iterable[Row]) -> Iterable[list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.model, row.dims, row.protocol, row.variant), []).append(row)
    return groups.values()


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else math.nan


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def fits(rows: Sequence[Row]) -> pandas.DataFrame:
    """How far belief networks fit what they saw better: a line a corpus, system and protocol whose bound on training
    documents is in the rows, with the perplexities per document of the bound on *training* and *test* documents, means
    over seeds that have both, their ratio test / training, and the seeds.
    """
    import pandas

    lines: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in rows:
        if (row.metric, row.variant) == (PER_DOCUMENT, "bound"):
            found.setdefault(_net(row), {})[row.split] = row.value
    for (corpus, model, dims, protocol, _), by in found.items():
        if by.keys() >= {"train", "test"}:
            lines.setdefault((corpus, f"{model} {dims}", protocol), []).append((by["train"], by["test"]))
    columns = [(*map(statistics.fmean, zip(*pairs, strict=True)), len(pairs)) for pairs in lines.values()]
    table = pandas.DataFrame(columns, columns=["training", "test", "seeds"])
    table.index = pandas.MultiIndex.from_tuples(list(lines), names=["corpus", "system", "protocol"])
    table.insert(2, "test / training", table["test"] / table["training"])
    return table


def partitions(rows: Sequence[Row]) -> pandas.DataFrame:
    """log Z_D of the replicated softmax from either end, nats: a line a corpus, system, seed and length D in words.

    Columns: AIS and reverse AIS, each with its stderr by its own weights (which near 1 means little: hardly a chain is
    effective), and gap: reverse AIS - AIS a word, by which it would move the log perplexity of documents of D words.
    """
    import pandas

    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if row.metric == LOG_Z:
            method, _, words = row.variant.removesuffix(" words").partition(", ")
            system = f"{row.model} {row.dims}"
            line = lines.setdefault((row.dataset, system, row.seed, int(words)), {})
            line |= {method: row.value, f"{method}, stderr": row.stderr}
    names = ["AIS", "AIS, stderr", "reverse AIS", "reverse AIS, stderr"]
    table = pandas.DataFrame(list(lines.values()), columns=names)
    table.index = pandas.MultiIndex.from_tuples(list(lines), names=["corpus", "system", "seed", "words"])
    words_of = table.index.get_level_values("words")
    return table.assign(gap=(table["reverse AIS"] - table["AIS"]) / words_of)


def places(table: pandas.DataFrame, published: Sequence[Published]) -> pandas.DataFrame:
    """The printed order beside ours, best first: a line a corpus and system of `summary` that the paper prints on it,
    or on the corpus that it stands in for, by what the paper measures, under the protocol that did best on validation
    documents.

    Columns: corpus, printed of, system, log P is, protocol, paper, ours, place in the paper, place here, and ratio:
    ours / unigram over paper / unigram, 1 where the two agree; nan for a stand-in.
    """
    import pandas

    printed = {(n.dataset, f"{n.model} {n.dims}".strip(), n.variant): n.published for n in published}
    keys = ["printed of", "system", "log P is"]
    lines = table.assign(**{"printed of": table["corpus"].map(_printed_of)})
    papers = [printed.get(tuple(line)) for line in lines[keys].itertuples(index=False)]
    lines = lines.assign(paper=pandas.Series(papers, lines.index, dtype=float)).dropna(
        subset=["paper", "ours"]
    )
    best = lines.sort_values(["validation", "ours"]).drop_duplicates(["corpus", "system"])
    ranks = best.groupby("corpus")[["paper", "ours"]].rank().astype(int)
    ratio = best["ours / unigram"] / best["paper / unigram"]
    columns = best[["corpus", *keys, "protocol", "paper", "ours"]].assign(
        **{"place in the paper": ranks["paper"], "place here": ranks["ours"], "ratio": ratio}
    )
    return columns.sort_values(["printed of", "corpus", "paper"]).reset_index(drop=True)


def _printed_of(corpus: str) -> str:
    """The paper's corpus that this one is, or stands in for."""
    return next((paper for names, paper in STAND_INS.items() if re.fullmatch(names, corpus)), data_of(corpus))


def require_sound(rows: Sequence[Row]) -> str:
    """Check what no length of training excuses, and say it: every system beats the unigram model of its corpus, belief
    networks by their importance-weighted perplexity, and that is not above their bound's.

    Errors: `AssertionError` naming the row.
    """
    tests = [
        row for row in rows if (row.split, row.metric) == ("test", PER_DOCUMENT) and math.isfinite(row.value)
    ]
    unigrams = {row.dataset: row.value for row in tests if row.model == UNIGRAM}
    bounds = {_net(row): row.value for row in tests if row.variant == "bound"}
    best = [row for row in tests if row.model != UNIGRAM and row.variant != "bound"]
    if not best:
        raise AssertionError("no system was trained, or every one diverged")
    for row in best:
        if row.value >= unigrams.get(row.dataset, math.inf):
            raise AssertionError(f"{row} is no better than the unigram model, {unigrams[row.dataset]:.0f}")
        if row.value > bounds.get(_net(row), math.inf):
            raise AssertionError(f"{row} lies above its bound's perplexity, {bounds[_net(row)]:.0f}")
    worst = max(best, key=lambda row: row.value / unigrams.get(row.dataset, math.inf))
    return f"worst: {worst.model} {worst.dims} on {worst.dataset}, {worst.value:.0f}"


def _net(row: Row) -> tuple[Any, ...]:
    return row.dataset, row.model, row.dims, row.protocol, row.seed
