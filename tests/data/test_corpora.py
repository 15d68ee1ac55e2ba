"""Corpora by name, from archives of a few posts and stories in the published formats."""

from __future__ import annotations

import hashlib
import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nvil_repro.data import catalogue, corpora
from nvil_repro.data.content import DataFile, DataUnavailableError, Source
from nvil_repro.data.corpora import load_corpus, statistics
from nvil_repro.data.counts import Corpus
from nvil_repro.evaluation.perplexity import perplexity
from nvil_repro.models.unigram import log_prob, unigram

from .test_archives import packed
from .test_reuters import HEAD, story

STEMS = ["atom", "bark", "cloud", "drum", "fork", "gold", "honk", "ink", "jam", "kelp"]
TEXTS = [
    " ".join(np.random.default_rng(n).choice(STEMS, 40, p=np.arange(10, 0, -1) / 55)) + " the and"
    for n in range(130)
]
TRAIN, TEST = [*TEXTS[:120], "the"], TEXTS[120:]
NEWSGROUPS = packed(
    {f"20news-bydate-train/misc/{n:03}": f"Subject:\n\n{text}".encode() for n, text in enumerate(TRAIN)}
    | {f"20news-bydate-test/misc/{n:03}": f"Subject:\n\n{text}".encode() for n, text in enumerate(TEST)}
)
STORIES = [story(f"<BODY>{text}</BODY>", n) for n, text in enumerate(TRAIN)]
STORIES += [story(f"<BODY>{text}</BODY>", 200 + n, "TEST") for n, text in enumerate(TEST)]
REUTERS = packed({"reut2-000.sgm": (HEAD + "".join(STORIES)).encode()})


def publish(attribute: str, raw: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the archive into `folder` and the hashes of what it converts to into the catalogue."""
    source: Source = getattr(catalogue, attribute)
    assert source.archive
    path = folder / source.archive.paths[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(lzma.compress(raw))
    contents = source.archive.convert(raw)
    files = tuple(
        DataFile(file.path, hashlib.sha256(contents[file.name]).hexdigest(), len(contents[file.name]))
        for file in source.files
    )
    monkeypatch.setattr(catalogue, attribute, source._replace(files=files, mirrors=(), packages=()))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    publish("NEWSGROUPS", NEWSGROUPS, tmp_path / "mine", monkeypatch)
    publish("REUTERS", REUTERS, tmp_path / "mine", monkeypatch)
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path / "mine"))
    monkeypatch.setattr(corpora, "WORDS", 5)
    return tmp_path / "mine"


def by_hand(words: int, rounded: bool) -> tuple[tuple[str, ...], list[list[int]], list[list[int]]]:
    """Vocabulary, training and test counts, counted without the package."""
    totals = Counter(word for text in TRAIN for word in text.split() if word in STEMS)
    vocabulary = tuple(sorted(totals, key=lambda word: (-totals[word], word))[:words])
    parts = [
        [[text.split().count(word) for word in vocabulary] for text in part] for part in (TRAIN[:-1], TEST)
    ]
    if rounded:
        parts = [np.rint(np.log1p(part)).astype(int).tolist() for part in parts]
    return vocabulary, *parts


@pytest.mark.parametrize("name", corpora.CORPORA)
@pytest.mark.parametrize("words", [None, 7])
def test_a_corpus_is_what_counting_by_hand_gives(folder: Path, name: str, words: int | None) -> None:
    corpus = load_corpus(name, words=words)
    vocabulary, train, test = by_hand(words or 5, rounded=not name.endswith("-raw"))
    assert corpus.words == vocabulary
    assert corpus.dataset == (name if words is None else f"{name}-7")
    assert corpus.test.dense().tolist() == test
    assert sorted(corpus.train.dense().tolist() + corpus.valid.dense().tolist()) == sorted(train)
    assert (corpus.train.documents, corpus.valid.documents, corpus.dropped) == (20, 100, (1, 0))


def test_statistics_are_those_of_the_counts(folder: Path) -> None:
    lengths = np.sum(by_hand(5, rounded=True)[1], axis=1)
    expected = (120, 10, (1, 0), lengths.mean(), lengths.std())
    for seed in range(2):
        ours = statistics(load_corpus("20news", seed=seed))
        assert ours[:3] == expected[:3]
        np.testing.assert_allclose(ours[3:], expected[3:], rtol=1e-12)
    assert statistics(load_corpus("20news-raw")).mean > ours.mean


def test_a_corpus_is_built_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_corpus("20news", seed=3)

    def never(source: Source) -> None:
        raise AssertionError("asked for the source")

    monkeypatch.setattr(corpora, "obtain", never)
    again = load_corpus("20news", seed=3)
    assert again[3:] == first[3:]
    for part, same in zip(first[:3], again[:3], strict=True):
        np.testing.assert_array_equal(part.dense(), same.dense())
    load_corpus("20news-raw")
    for change in ({"words": 6}, {"name": "reuters21578"}):
        with pytest.raises(AssertionError, match="asked for"):
            load_corpus(**{"name": "20news", **change})
    monkeypatch.setattr(corpora, "source_hash", lambda *names: "other code")
    with pytest.raises(AssertionError, match="asked for"):
        load_corpus("20news")


def test_a_damaged_built_corpus_is_built_again(
    folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_corpus("20news")
    [path] = cache.rglob("*.npz")
    whole = path.read_bytes()
    for damaged in (whole[:-40], whole[:300] + bytes(20) + whole[320:], b""):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(load_corpus("20news").test.dense(), first.test.dense())
        assert f"{path} is not usable" in capsys.readouterr().err
        assert path.read_bytes() == whole


def test_a_damaged_archive_leaves_nothing_in_the_cache(folder: Path, cache: Path) -> None:
    path = folder / "reuters21578" / "reuters21578.tar.xz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataUnavailableError, match=f"{path} is not usable: .*truncated"):
        load_corpus("reuters21578")
    other = packed({"reut2-000.sgm": (HEAD + "".join(STORIES[1:])).encode()})
    path.write_bytes(lzma.compress(other))
    with pytest.raises(DataUnavailableError, match=r"is not usable: reuters21578-train has|expected"):
        load_corpus("reuters21578")
    assert not list(cache.rglob("*.npz"))


def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError) as failure:
        load_corpus("reuters21578")
    for text in ("NVIL_REPRO_DATA is not set", "no package is known", "put reuters21578/reuters21578.tar.xz"):
        assert text in str(failure.value)
    with pytest.raises(ValueError, match="unknown corpus 'imdb'; choose one of 20news, 20news-raw, reuters"):
        load_corpus("imdb")


def test_there_are_not_more_words_than_stems(folder: Path, cache: Path) -> None:
    with pytest.raises(ValueError, match="words=11: expected between 1 and the 10 stems"):
        load_corpus("20news", words=11)
    assert not list(cache.rglob("*.npz"))


def fingerprint(corpus: Corpus) -> str:
    digest = hashlib.sha256("\n".join(corpus.words).encode())
    for part in corpus[:3]:
        for array in part[:3]:
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.real_data
def test_the_canonical_corpus_is_the_one_of_the_results() -> None:
    corpus = load_corpus("20news")
    assert fingerprint(corpus) == "89e4012029b844c4"
    found = statistics(corpus)
    assert found[:3] == (11_291, 7_524, (1, 3))
    np.testing.assert_allclose(found[3:5], (53.1, 66.5), atol=0.05)
    log_p = log_prob(unigram(corpus.train), corpus.test)
    assert perplexity(log_p, corpus.test.lengths, resamples=2).per_document == pytest.approx(1320, abs=1)
    raw = load_corpus("20news-raw")
    assert fingerprint(raw) == "f3f7a0bf33aeca81"
    assert raw.words == corpus.words
