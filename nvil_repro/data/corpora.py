"""The corpora of documents by name: 20 Newsgroups and Reuters-21578, one preprocessing, counts log-rounded or raw."""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from nvil_repro.data import catalogue
from nvil_repro.data.content import Source
from nvil_repro.data.corpus_cache import Built, cached, source_hash
from nvil_repro.data.counts import Corpus, joined
from nvil_repro.data.hold_out import hold_out
from nvil_repro.data.sources import obtain
from nvil_repro.data.text import read_documents
from nvil_repro.data.vocabulary import Counted, count_words, most_frequent_stems

CORPORA = ("20news", "20news-raw", "reuters21578", "reuters21578-raw")
WORDS = 2_000
CODE = ("vocabulary.py", "counts.py", "smart_stop_words.json")  # what turns the words of a source into counts


class Statistics(NamedTuple):
    """What tells one preprocessing from another. Lengths are sums of counts; training includes validation."""

    train_documents: int
    test_documents: int
    dropped: tuple[int, int]  # empty documents of training and test, not among the above
    mean: float  # length of a training document
    sd: float


def load_corpus(name: str, *, words: int | None = None, seed: int = 0) -> Corpus:
    """A corpus from the first source that has it: words [a-z]+ without the SMART stop words, as Porter stems.

    name: "20news", subjects and bodies in the by-date split, or "reuters21578", titles and bodies in the ModApte split,
        every count n replaced by round(ln(1 + n)); "20news-raw" and "reuters21578-raw" with the counts as they are.
    words: the size of the vocabulary, the most frequent stems of all training documents; 2,000 unless said otherwise,
        and then said in `dataset` too ("reuters21578-10000").
    seed: picks the 100 validation documents held out of training.
    Errors: `ValueError` for an unknown name or more words than there are; `DataUnavailableError` naming every source.
    """
    if name not in CORPORA:
        raise ValueError(f"unknown corpus {name!r}; choose one of {', '.join(CORPORA)}")
    size = WORDS if words is None else words
    source = catalogue.NEWSGROUPS if name.startswith("20news") else catalogue.REUTERS
    counted = _counted(source, size)
    label = name if size == WORDS else f"{name}-{size}"
    return hold_out(counted if name.endswith("-raw") else counted.log_rounded(), label, seed=seed)


def statistics(corpus: Corpus) -> Statistics:
    """The documents and lengths of a corpus."""
    train = np.concatenate([corpus.train.lengths, corpus.valid.lengths])
    return Statistics(
        train_documents=len(train),
        test_documents=corpus.test.documents,
        dropped=corpus.dropped,
        mean=float(train.mean()),
        sd=float(train.std()),
    )


def _counted(source: Source, size: int) -> Counted:
    """The documents of a source over its `size` most frequent stems, from the cache if they were counted before."""

    def build() -> Built:
        train, test = (read_documents(item.content) for item in obtain(source).values())
        counted = most_frequent_stems(count_words(train, test), size)
        return Built(joined([counted.train, counted.test]), counted.words, {"train": counted.train.documents})

    made_of = {
        "content": [file.sha256 for file in source.files],
        "words": size,
        "code": source_hash(*CODE),
        "nltk": version("nltk"),
    }
    built = cached(source.name, made_of, build)
    train, test = np.split(np.arange(built.counts.documents), [built.facts["train"]])
    return Counted(built.counts.take(train), built.counts.take(test), built.words)
