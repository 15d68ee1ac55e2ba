"""Corpora in RCV1-v2's two formats, drawn from a known topic model: for tests, and for memory and speed at full size.

Latent Dirichlet allocation with the lengths reported for RCV1-v2 over as many stems as the official vectors have. Ids
begin beyond RCV1-v2's own, so that no loader takes such files for the real ones.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data.catalogue import RCV1
from nvil_repro.data.counts import Corpus, Counts, tally
from nvil_repro.data.rcv1_corpus import TEST_DOCUMENTS, Documents, for_testing, most_frequent, split
from nvil_repro.data.rcv1_files import DOCUMENTS
from nvil_repro.streams import stream

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STEMS = 47_236
MEAN_LENGTH, SD_LENGTH = 94.6, 69.3  # in words, as reported for RCV1-v2
FIRST_ID = 1_000_001
FEWEST = 100  # documents, so that every file has some
BLOCK = 10_000  # documents drawn from one stream
LINE = 12  # tokens a line
ZIPF_SHIFT, ZIPF_EXPONENT = 80, 1.5  # the 10,000 most frequent stems make 95 % of the tokens


class TopicModel(NamedTuple):
    """Latent Dirichlet allocation: K topics over V stems, and the symmetric Dirichlet prior of a document's topics."""

    stems: tuple[str, ...]  # [V], in alphabetical order
    topics: NDArray[np.float64]  # [K, V], rows sum to one
    concentration: float


class Block(NamedTuple):
    """Documents of file `file`, ids `first`, `first` + 1, ..., counted in the columns of the model's stems."""

    file: int
    first: int
    counts: Counts


def topic_model(seed: int, topics: int = 50, stems: int = STEMS, concentration: float = 0.1) -> TopicModel:
    """Topics that share a Zipf-Mandelbrot law and differ by a Gamma(1/20) factor a stem."""
    draw = stream(seed, "topics of a generated corpus")
    frequency = (draw.permutation(stems) + 1.0 + ZIPF_SHIFT) ** -ZIPF_EXPONENT
    weights = frequency * draw.gamma(0.05, size=(topics, stems))
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvwxyz" for vowel in "aeiou"]
    names = tuple(
        syllables[i // 10_000] + syllables[i // 100 % 100] + syllables[i % 100] for i in range(stems)
    )
    return TopicModel(names, weights / weights.sum(1, keepdims=True), concentration)


def generated_blocks(model: TopicModel, documents: int, seed: int) -> Iterator[Block]:
    """`documents` documents of the model, spread over the files as RCV1-v2's are.

    Errors: `ValueError` for fewer than 100 documents.
    """
    if documents < FEWEST:
        raise ValueError(f"documents={documents}: five files need at least {FEWEST}")
    ends = np.rint(np.cumsum((0, *DOCUMENTS)) * (documents / sum(DOCUMENTS))).astype(int)
    cumulative = np.cumsum(model.topics, axis=1)
    index = 0
    for file, (start, end) in enumerate(pairwise(ends)):
        for first in range(start, end, BLOCK):
            draw = stream(seed, "generated documents", index)
            yield Block(file, FIRST_ID + first, _documents(model, cumulative, min(BLOCK, end - first), draw))
            index += 1


def generate_rcv1(folder: str | Path, *, documents: int = sum(DOCUMENTS), seed: int = 0) -> list[Path]:
    """Write `documents` documents, 804,414 by default, as the five token files into `folder`; returns their paths.

    The same bytes for the same seed. Errors: `ValueError` for fewer than 100 documents.
    """
    model = topic_model(seed)
    endings = (b" ", b"\n", b"\n\n")
    pieces = np.array([stem.encode() + ending for ending in endings for stem in model.stems], object)
    paths = [Path(folder) / file.path.rsplit("/")[-1] for file in RCV1.files]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, blocks in groupby(generated_blocks(model, documents, seed), lambda block: block.file):
        with paths[number].open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
            for block in blocks:
                file.write(_text(block, pieces))
    return paths


def generated_corpus(documents: int = sum(DOCUMENTS), *, words: int = 10_000, seed: int = 0) -> Corpus:
    """The corpus those files hold, without the files: at most 10,000, at most a tenth, of the documents to test on."""
    model = topic_model(seed)
    blocks = [block.counts for block in generated_blocks(model, documents, seed)]
    test = for_testing(documents, min(TEST_DOCUMENTS, documents // 10))
    counts, stems = most_frequent(Documents(blocks, model.stems), words, test)
    return split(counts, stems, test, seed=seed, dataset=f"rcv1-generated-{documents}-seed{seed}")


def inverse_document_frequencies(counts: Counts) -> NDArray[np.float64]:
    """idf = ln(N / df), the official vectors': [V]; zero for stems that no document has."""
    documents = np.bincount(counts.words, minlength=counts.vocabulary)
    return np.where(documents > 0, np.log(counts.documents / np.maximum(documents, 1)), 0.0)


def weights(counts: Counts, idf: NDArray[np.float64]) -> csr_array:
    """The matrix `sklearn.datasets.fetch_rcv1` would have of these documents: (1 + ln n) idf, rows of unit length.

    Stems whose idf is zero have no weight.
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(counts.documents), np.diff(counts.starts))
    values = (1 + np.log(counts.counts)) * idf[counts.words]
    lengths = np.sqrt(np.bincount(rows, values**2, counts.documents))
    kept = values > 0
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=counts.documents))])
    entries = values[kept] / lengths[rows[kept]], counts.words[kept]
    return csr_array((*entries, starts), shape=(counts.documents, counts.vocabulary))


def _documents(
    model: TopicModel, cumulative: NDArray[np.float64], documents: int, draw: np.random.Generator
) -> Counts:
    """Gamma-distributed lengths, topics by Dirichlet and multinomial draws, stems by inversion within each topic."""
    shape = (MEAN_LENGTH / SD_LENGTH) ** 2
    lengths = np.maximum(np.rint(draw.gamma(shape, MEAN_LENGTH / shape, documents)), 1).astype(np.int64)
    prior = np.full(len(model.topics), model.concentration)
    tokens = draw.multinomial(lengths, draw.dirichlet(prior, documents))  # [documents, K]
    words = [
        np.minimum(np.searchsorted(row, draw.random(total)), len(row) - 1)
        for row, total in zip(cumulative, tokens.sum(0), strict=True)
    ]
    rows = np.concatenate([np.repeat(np.arange(documents), topic) for topic in tokens.T])
    return tally(rows, np.concatenate(words), (documents, len(model.stems)))


def _text(block: Block, pieces: NDArray[np.object_]) -> bytes:
    """The documents as a token file has them: `.I id`, `.W`, lines of stems, a blank line."""
    counts = block.counts
    lengths = counts.lengths
    stops = np.cumsum(lengths)
    place = np.arange(stops[-1]) - np.repeat(stops - lengths, lengths)  # of a token in its document
    ending = (place % LINE == LINE - 1).astype(np.int64)
    ending[stops - 1] = 2
    text = np.empty(len(place) + counts.documents, object)
    head = stops - lengths + np.arange(counts.documents)
    is_token = np.ones(len(text), bool)
    is_token[head] = False
    text[head] = [b".I %d\n.W\n" % (block.first + n) for n in range(counts.documents)]
    text[is_token] = pieces[np.repeat(counts.words, counts.counts) + counts.vocabulary * ending]
    return b"".join(text.tolist())
