"""Posts to documents, on archives of a few posts in the layout of the official one."""

from __future__ import annotations

import lzma

import pytest

from nvil_repro.data import newsgroups
from nvil_repro.data.formats import FormatError
from nvil_repro.data.newsgroups import from_archive, from_tables

from .test_archives import packed

ENCODED = "M" + 60 * "A" + "\n"
POSTS = {
    "20news-bydate-test/sci.space/9": b"From: a\nSUBJECT: Re: Moon?\nLines: 1\n\nYes.\n\nSubject: none\n",
    "20news-bydate-test/alt.atheism/10": b"From: subject b\n\nCaf\xe9 body\n",
    "20news-bydate-train/sci.space/2": b"Subject: two\n\n" + 9 * ENCODED.encode(),
    "20news-bydate-train/sci.space/10": b"Subject: ten\nKeywords: unseen\n\n",
    "20news-bydate-train/sci.space/3": b"Subject: picture\n\n" + 10 * ENCODED.encode(),
}


def test_a_document_is_the_words_of_subject_and_body() -> None:
    assert from_archive(lzma.compress(packed(POSTS))) == {
        "20news-bydate-train.txt": b"sci.space\tten\nsci.space\ttwo" + 9 * (b" m" + 60 * b"a") + b"\n",
        "20news-bydate-test.txt": b"alt.atheism\tcaf body\nsci.space\tre moon yes subject none\n",
    }


def test_ten_encoded_lines_make_a_post_a_file() -> None:
    train = from_archive(packed(POSTS))["20news-bydate-train.txt"]
    assert b"picture" not in train
    posts = POSTS | {"20news-bydate-train/sci.space/3": b"Subject: picture\n\n" + 9 * ENCODED.encode()}
    assert b"picture" in from_archive(packed(posts))["20news-bydate-train.txt"]


def test_the_order_is_that_of_names_whatever_the_archives() -> None:
    backwards = dict(reversed(POSTS.items()))
    assert from_archive(packed(backwards)) == from_archive(packed(POSTS))


def test_another_version_of_the_archive_is_refused() -> None:
    with pytest.raises(FormatError, match=r"no posts in 20news-bydate-train/.*by-date version\?"):
        from_archive(packed({"20_newsgroups/sci.space/2": b"Subject: two\n\nbody\n"}))


def test_tables_are_spliced_into_the_same_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    splices = {"train": [[0, 7, ""], [21, 0, "two "]], "test": [[0, 7, ""]]}
    monkeypatch.setattr(newsgroups, "_splices", lambda: splices)
    tables = b"header\nsci.space\tone three\n", b"header\nmisc\tfour\n"
    assert from_tables(*tables) == {
        "20news-bydate-train.txt": b"sci.space\tone two three\n",
        "20news-bydate-test.txt": b"misc\tfour\n",
    }
    with pytest.raises(FormatError, match="table of the test posts is not plain words"):
        from_tables(tables[0], b"caf\xe9")
