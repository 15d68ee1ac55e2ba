"""From generated files to a corpus, by both routes, and what is said where neither goes."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest

from nvil_repro.data import rcv1, rcv1_corpus, rcv1_files, rcv1_synthetic, web
from nvil_repro.data.catalogue import RCV1
from nvil_repro.data.content import CorruptDataError, DataUnavailableError
from nvil_repro.data.counts import Corpus, Counts, joined
from nvil_repro.data.rcv1 import load_rcv1, rcv1_documents, read_tokens
from nvil_repro.data.rcv1_corpus import Documents, for_testing, most_frequent, split
from nvil_repro.data.rcv1_synthetic import (
    generate_rcv1,
    generated_blocks,
    generated_corpus,
    inverse_document_frequencies,
    topic_model,
    weights,
)

SIZE, SEED, WORDS = 1000, 3, 500
PER_FILE = (29, 248, 247, 248, 228)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return generate_rcv1(tmp_path_factory.mktemp("generated") / "rcv1", documents=SIZE, seed=SEED)


@pytest.fixture(scope="module")
def drawn() -> list[Counts]:
    """What the files hold, from the generator itself."""
    return [block.counts for block in generated_blocks(topic_model(SEED), SIZE, SEED)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """RCV1-v2 as if it were the generated files."""
    for module in (rcv1, rcv1_files):
        monkeypatch.setattr(module, "DOCUMENTS", PER_FILE)
    monkeypatch.setattr(rcv1, "IDS", (rcv1_synthetic.FIRST_ID, rcv1_synthetic.FIRST_ID + SIZE - 1))
    monkeypatch.setattr(for_testing, "__defaults__", (50,))


@pytest.fixture
def local(files: list[Path], small: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NVIL_REPRO_DATA", str(files[0].parents[1]))
    return files[0].parent


@pytest.fixture
def sklearn(drawn: list[Counts], small: None, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """scikit-learn, its `fetch_rcv1` serving the weights of the generated documents."""
    pytest.importorskip("scipy")
    documents = joined(drawn)
    idf = inverse_document_frequencies(documents.take(np.arange(400)))
    monkeypatch.setattr(rcv1, "REFERENCE", 395)
    module = SimpleNamespace(calls=0)

    def fetch_rcv1() -> SimpleNamespace:
        module.calls += 1
        return SimpleNamespace(data=weights(documents, idf))

    module.fetch_rcv1 = fetch_rcv1
    monkeypatch.setitem(sys.modules, "sklearn.datasets", module)
    return module


def same(left: Corpus, right: Corpus) -> bool:
    arrays = zip(
        (*left.train, *left.valid, *left.test), (*right.train, *right.valid, *right.test), strict=True
    )
    return all(np.array_equal(a, b) for a, b in arrays) and left.dropped == right.dropped


def test_the_reader_finds_what_was_generated(files: list[Path], drawn: list[Counts]) -> None:
    assert [path.name for path in files] == [file.path.split("/")[1] for file in RCV1.files]
    documents, ids = read_tokens(files, PER_FILE)
    assert ids == list(range(1_000_001, 1_001_001))
    model = topic_model(SEED)
    nobody = np.zeros(SIZE, bool)
    read = most_frequent(documents, 2000, nobody)
    made = most_frequent(Documents(drawn, model.stems), 2000, nobody)
    assert read[1] == made[1]
    assert all(np.array_equal(a, b) for a, b in zip(read[0], made[0], strict=True))
    other = [block.counts for block in generated_blocks(model, SIZE, SEED + 1)]
    assert most_frequent(Documents(other, model.stems), 2000, nobody)[1] != read[1]


def test_generated_documents_are_as_long_as_those_of_rcv1(drawn: list[Counts]) -> None:
    lengths = np.concatenate([block.lengths for block in drawn])
    assert abs(lengths.mean() - 94.6) < 4 * 69.3 / SIZE**0.5
    assert abs(lengths.std() - 69.3) < 10
    assert lengths.min() >= 1
    np.testing.assert_allclose(topic_model(SEED).topics.sum(1), 1)


def test_the_generator_repeats_itself(files: list[Path], tmp_path: Path) -> None:
    again = generate_rcv1(tmp_path, documents=SIZE, seed=SEED)
    assert [a.read_bytes() for a in again] == [b.read_bytes() for b in files]
    with pytest.raises(ValueError, match="documents=99: five files need at least 100"):
        generate_rcv1(tmp_path, documents=99)


def test_the_corpus_is_the_split_of_the_literature(local: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = load_rcv1(words=WORDS, seed=1)
    assert corpus.dataset == "rcv1"
    assert len(corpus.words) == WORDS
    assert corpus.valid.documents == 100
    assert corpus.test.documents + corpus.dropped[1] == 50
    assert corpus.train.documents + 100 + corpus.dropped[0] == SIZE - 50
    for part in (corpus.train, corpus.valid, corpus.test):
        assert part.lengths.min() > 0
    totals = corpus.train.word_totals() + corpus.valid.word_totals()
    assert (np.diff(totals) <= 0).all(), "most frequent first, counted outside the test part"
    assert "building RCV1-v2" in capsys.readouterr().err


def test_the_seed_moves_the_validation_documents_alone(local: Path) -> None:
    one, again, other = (
        load_rcv1(words=WORDS, seed=1),
        load_rcv1(words=WORDS, seed=1),
        load_rcv1(words=WORDS, seed=2),
    )
    assert same(one, again)
    assert not same(one, other)
    assert all(np.array_equal(a, b) for a, b in zip(one.test, other.test, strict=True))


def test_both_routes_give_one_corpus(
    local: Path, sklearn: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = load_rcv1(words=WORDS)
    monkeypatch.delenv("NVIL_REPRO_DATA")
    recovered = load_rcv1(words=WORDS)
    assert (tokens.dataset, recovered.dataset) == ("rcv1", "rcv1-weights")
    assert same(tokens, recovered)
    assert recovered.words[0].startswith("term")
    assert rcv1_documents(WORDS).facts["misfits"] == 0
    assert sklearn.calls == 1, "the second time it comes from the cache"


def test_what_was_built_is_read_from_the_cache(
    local: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built = rcv1_documents(WORDS)
    (kept,) = (cache / "corpora").iterdir()
    assert set(built.facts["sha256"]) == {path.name for path in local.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(rcv1, "read_tokens", None)
        again = rcv1_documents(WORDS)
    assert again.words == built.words
    assert again.facts == built.facts
    for stored, made in zip(again.counts, built.counts, strict=True):
        np.testing.assert_array_equal(stored, made)
        assert getattr(stored, "dtype", None) == getattr(made, "dtype", None)
    damaged = bytearray(kept.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    kept.write_bytes(damaged)
    capsys.readouterr()
    assert rcv1_documents(WORDS).words == built.words
    assert "is not usable" in capsys.readouterr().err
    rcv1_documents(WORDS - 1)
    assert len(list((cache / "corpora").iterdir())) == 2
    monkeypatch.setattr(rcv1, "CODE", ("rcv1.py",))  # other code, another file
    rcv1_documents(WORDS)
    assert len(list((cache / "corpora").iterdir())) == 3


def test_files_that_change_are_read_again(
    files: list[Path], small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path))
    (tmp_path / "rcv1").mkdir()
    for path in files:
        (tmp_path / "rcv1" / path.name).write_bytes(path.read_bytes())
    before = rcv1_documents(WORDS)
    text = gzip.decompress(files[0].read_bytes())
    first = text.split()[3]
    (tmp_path / "rcv1" / files[0].name).write_bytes(
        gzip.compress(text.replace(b".W\n", b".W\n" + first + b" ", 1))
    )
    after = rcv1_documents(WORDS)
    assert after.facts["sha256"] != before.facts["sha256"]


def test_a_broken_file_leaves_nothing_in_the_cache(
    files: list[Path], small: None, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path))
    (tmp_path / "rcv1").mkdir()
    for path in files:
        (tmp_path / "rcv1" / path.name).write_bytes(path.read_bytes())
    last = tmp_path / "rcv1" / files[-1].name
    last.write_bytes(last.read_bytes()[:-1000])
    with pytest.raises(CorruptDataError, match=r"test_pt3\.dat\.gz, after line \d+: damaged gzip stream"):
        load_rcv1(words=WORDS)
    assert not (cache / "corpora").exists()


def test_generated_files_are_not_taken_for_rcv1(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rcv1, "IDS", rcv1_files.IDS)
    with pytest.raises(CorruptDataError, match=r"document 1000001 in .* is none of RCV1-v2's 2286-810596"):
        load_rcv1(words=WORDS)


@pytest.mark.parametrize("words", [0, 10**6])
def test_a_vocabulary_has_as_many_words_as_there_are(local: Path, words: int) -> None:
    with pytest.raises(ValueError, match=rf"words={words}: expected between 1 and the"):
        load_rcv1(words=words)


def test_every_place_that_was_tried_is_named(small: None, sklearn: SimpleNamespace) -> None:
    def fetch_rcv1() -> None:
        raise URLError("no route to host")

    sklearn.fetch_rcv1 = fetch_rcv1
    with pytest.raises(DataUnavailableError) as caught:
        load_rcv1()
    message = str(caught.value)
    for place in (
        "cache",
        "www.ai.mit.edu",
        "jmlr.csail.mit.edu",
        "www.jmlr.org",
        "fetch_rcv1: URLError",
        "package",
    ):
        assert place in message
    assert "put rcv1/lyrl2004_tokens_train.dat.gz" in message
    assert "NVIL_REPRO_DATA" in message


def test_a_download_of_the_published_size_is_kept(
    files: list[Path], small: None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {path.name: path.read_bytes() for path in files}
    sizes = [file._replace(size=len(served[file.path.split("/")[1]])) for file in RCV1.files]
    monkeypatch.setattr(rcv1_files, "RCV1", RCV1._replace(files=tuple(sizes)))
    monkeypatch.setattr(web, "reachable", lambda mirrors, attempts: mirrors)
    asked: list[str] = []

    def download(url: str) -> bytes:
        asked.append(url)
        content = served[url.rsplit("/", 1)[1]]
        return content[:-1] if "ai.mit.edu" in url else content

    monkeypatch.setattr(web, "download", download)
    assert load_rcv1(words=WORDS).dataset == "rcv1"
    assert [url.split("/")[2] for url in asked] == ["www.ai.mit.edu"] + 5 * ["jmlr.csail.mit.edu"]
    assert {path.name for path in (cache / "rcv1").iterdir()} == set(served)
    load_rcv1(words=WORDS, seed=5)
    assert len(asked) == 6


def test_counts_over_frequent_words_are_the_dense_ones() -> None:
    """Against the matrix: stems unknown to an early block, ties by alphabet, rising columns."""
    early = Counts(np.array([0, 2, 2]), np.array([0, 1], np.int32), np.array([1, 4], np.int32), 2)
    late = Counts(np.array([0, 3]), np.array([0, 1, 2], np.int32), np.array([3, 5, 4], np.int32), 3)
    test = np.array([False, False, False])
    counts, words = most_frequent(Documents([early, late], ["zinc", "oil", "gold"]), 3, test)
    assert words == ("oil", "gold", "zinc")
    np.testing.assert_array_equal(counts.dense(), [[4, 0, 1], [0, 0, 0], [5, 4, 3]])
    counts, words = most_frequent(
        Documents([early, late], ["zinc", "oil", "gold"]), 2, np.array([True, False, False])
    )
    assert words == ("oil", "gold")
    np.testing.assert_array_equal(counts.dense(), [[4, 0], [0, 0], [5, 4]])


def test_empty_documents_are_dropped_and_counted() -> None:
    sizes = np.ones(300, np.int64)
    sizes[[0, 1, 299]] = 0
    ones = np.ones(297, np.int32)
    counts = Counts(np.concatenate([[0], np.cumsum(sizes)]), 0 * ones, ones, 1)
    corpus = split(counts, ("oil",), np.arange(300) >= 290, seed=0, dataset="toy")
    assert corpus.dropped == (2, 1)
    assert (corpus.train.documents, corpus.valid.documents, corpus.test.documents) == (188, 100, 9)
    with pytest.raises(
        ValueError, match="toy: validation=100, expected at least 1 and fewer than the 7 training documents"
    ):
        split(counts, ("oil",), np.arange(300) >= 9, seed=0, dataset="toy")


def test_too_few_documents_to_split() -> None:
    with pytest.raises(ValueError, match="10,000 documents: expected more than the 10,000 to test on"):
        for_testing(10_000)
    assert for_testing(804_414).sum() == rcv1_corpus.TEST_DOCUMENTS


def test_a_generated_corpus_says_so() -> None:
    corpus = generated_corpus(400, words=300, seed=1)
    assert corpus.dataset == "rcv1-generated-400-seed1"
    assert corpus.test.documents + corpus.dropped[1] == 40
    assert json.dumps(corpus.words[:3])
