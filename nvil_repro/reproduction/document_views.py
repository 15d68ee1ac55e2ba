"""What Table 3 says: perplexities beside the paper's, each beside its unigram model's, and what was learned."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.corpora import statistics as statistics_of
from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.evaluation.documents import score_unigram
from nvil_repro.evaluation.perplexity import perplexity
from nvil_repro.learning.lda import csr
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.models.docnade import DocNade
from nvil_repro.models.lda import Lda, topics
from nvil_repro.models.replicated_softmax import ReplicatedSoftmax
from nvil_repro.models.unigram import unigram
from nvil_repro.reproduction.cells import DocumentCell
from nvil_repro.reproduction.compare import NOT_RUN
from nvil_repro.reproduction.document_systems import LOG_Z, PER_CORPUS, PER_DOCUMENT, interval_of
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.naming import BELIEF_NETS, UNIGRAM, parse_model
from nvil_repro.reproduction.presentation import diverged, present
from nvil_repro.reproduction.published import Published, data_of
from nvil_repro.reproduction.results import Row

if TYPE_CHECKING:
    import pandas

# Of the private file behind the printed 20 Newsgroups rows; recalled from the literature, not checked.
PRIVATE = {"documents": "11,314 / 7,531", "mean length": 51.8, "sd": 70.8, "unigram perplexity": 1335.0}

# How what is no bound and not exact is estimated, by kind of system.
ESTIMATES = {
    "LDA": "left-to-right estimate",
    "Replicated softmax": "AIS estimate",
    "DocNADE": "estimate over orders",
}

# Corpora of any number of words that stand in for one of the paper's.
STAND_INS = {r"reuters21578(-\d+)?": "rcv1"}


def corpora_table(corpora: Mapping[str, Corpus]) -> pandas.DataFrame:
    """A line a corpus: documents of training (with validation) and test, empty ones dropped, lengths of training
    documents, and the unigram model's test perplexity per document; the paper's own file first.
    """
    import pandas

    lines: dict[str, dict[str, Any]] = {"the paper's 20 Newsgroups": PRIVATE}
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
    """`summary` as text, errors beside their numbers; what log P is, estimates by how they are made."""
    kinds = [
        ESTIMATES.get(system.rpartition(" ")[0], kind) if kind == "estimate" else kind
        for system, kind in zip(table["system"], table["log P is"], strict=True)
    ]
    ratio = dict.fromkeys(["paper / unigram", "ours / unigram"], ".3f")
    text = present(
        table.assign(**{"log P is": kinds}),
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
    finite = {key: [value for value in seeds.values() if value == value] for key, seeds in best.items()}
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


def top_words(
    systems: Mapping[DocumentCell, Measured | None],
    corpora: Mapping[str, Corpus],
    units: int = 5,
    count: int = 8,
) -> pandas.DataFrame:
    """The words of the largest weights of the first units (topics) of systems, their first nets here: a line a system
    and unit, a column a corpus.
    """
    import pandas

    lines: dict[tuple[str, int], dict[str, str]] = {}
    for cell, net in _firsts(systems):
        weights, words = word_weights(net)[:units], corpora[cell.corpus].words
        for unit, row in enumerate(np.argsort(-weights, axis=1, kind="stable")[:, :count]):
            lines.setdefault((cell.system, unit), {})[cell.corpus] = ", ".join(words[w] for w in row)
    index = pandas.MultiIndex.from_tuples(list(lines), names=["system", "unit"])
    return pandas.DataFrame(list(lines.values()), index=index).fillna("")


def word_weights(net: Any) -> NDArray[np.float64]:
    """How much each hidden unit or topic speaks for each word, of replica 0: [H, V]. A unit's weights; of a topic the
    probability of the word, times the log of what it is over the mean of all topics.
    """
    match net:
        case BeliefNet():
            return net.generative[0].weight[0].double().numpy()
        case Lda():
            phi = topics(net)[0]
            return (phi.log() - phi.mean(0).log()).numpy() * phi.numpy()
        case DocNade():
            return net.output[0].double().numpy().T
        case ReplicatedSoftmax():
            return net.weight[0].double().numpy().T
    raise TypeError(f"no words of a {type(net).__name__}")


def nearest_documents(
    systems: Mapping[DocumentCell, Measured | None],
    corpora: Mapping[str, Corpus],
    documents: Sequence[int],
    count: int = 2,
    words: int = 6,
) -> pandas.DataFrame:
    """For test documents of each corpus, the training documents whose units' probabilities under the Q of its first
    belief network here have the smallest angle to theirs, each told by its most telling words.
    """
    import pandas

    lines = []
    for cell, net in _belief_nets(systems):
        corpus = corpora[cell.corpus]
        codes, wanted = _codes(net, corpus.train), _codes(net, corpus.test.take(np.asarray(documents)))
        nearest = np.argsort(-(wanted @ codes.T), axis=1, kind="stable")[:, :count]
        for document, row in zip(documents, nearest, strict=True):
            near = [_telling(corpus, corpus.train, n, words) for n in row]
            told = _telling(corpus, corpus.test, document, words)
            lines.append((f"{cell.system}, {cell.corpus}", told, *near))
    names = ["told by", "test document", *(f"nearest {i}" for i in range(1, count + 1))]
    return pandas.DataFrame(lines, columns=names)


def _codes(net: BeliefNet, counts: Counts) -> NDArray[np.float64]:
    """Q(h = 1 | x) - 1/2 of every document, scaled to length one: [N, H]."""
    weight, bias, centre = (
        part.double().numpy()
        for part in (net.recognition[0].weight[0], net.recognition[0].bias[0], net.centre)
    )
    logits = csr(counts) @ weight + (bias - centre @ weight)
    codes = np.tanh(logits / 2)  # twice that, and no exponential to overflow
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def _telling(corpus: Corpus, counts: Counts, document: int, words: int) -> str:
    """The words of a document that stand out most from the training documents'."""
    one = counts.take(np.array([document]))
    frequency = (corpus.train.word_totals()[one.words] + 1) / corpus.train.lengths.sum()
    order = np.argsort(-one.counts * -np.log(frequency), kind="stable")[:words]
    return ", ".join(corpus.words[w] for w in one.words[order])


def _firsts(systems: Mapping[DocumentCell, Measured | None]) -> list[tuple[DocumentCell, Any]]:
    """Each corpus's and system's net, best on validation, of its first protocol and seed that is here."""
    first: dict[tuple[str, str], tuple[DocumentCell, Any]] = {}
    for cell, measured in systems.items():
        if measured is not None:
            first.setdefault((cell.corpus, cell.system), (cell, measured.result.best.net))
    return list(first.values())


def _belief_nets(systems: Mapping[DocumentCell, Measured | None]) -> list[tuple[DocumentCell, BeliefNet]]:
    """The first belief network of each corpus that has one here."""
    nets: dict[str, tuple[DocumentCell, BeliefNet]] = {}
    for cell, net in _firsts(systems):
        if parse_model(cell.system)[0] in BELIEF_NETS:
            nets.setdefault(cell.corpus, (cell, net))
    return list(nets.values())
