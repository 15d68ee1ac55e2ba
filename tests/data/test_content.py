"""Content is what its hash says, gzipped or not, and never larger than it should be."""

from __future__ import annotations

import gzip

import pytest

from nvil_repro.data.content import CorruptDataError, DataFile, unpack

from .conftest import data_file

CONTENT = bytes(range(200))
FILE = data_file("folder/name.gz", CONTENT)


def test_gzipped_and_plain_bytes_have_the_same_content() -> None:
    assert FILE.name == "name"
    assert unpack(CONTENT, FILE) == unpack(gzip.compress(CONTENT), FILE) == CONTENT


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (CONTENT[:-1], "199 bytes, expected 200"),
        (gzip.compress(CONTENT)[:40], "bytes, expected 200|damaged gzip"),
        (CONTENT[:-1] + b"x", "sha256 .* expected"),
        (b"\x1f\x8b" + bytes(50), "damaged gzip"),
        (b"", "0 bytes, expected 200"),
    ],
)
def test_bytes_that_are_not_the_content_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(CorruptDataError, match=message):
        unpack(raw, FILE)


def test_a_gzip_bomb_is_not_inflated() -> None:
    with pytest.raises(CorruptDataError, match="more than 200 bytes"):
        unpack(gzip.compress(bytes(50_000_000)), FILE)


def test_the_hash_decides_and_not_the_size() -> None:
    other = DataFile(FILE.path, "0" * 64, FILE.size)
    with pytest.raises(CorruptDataError, match="expected 000000000000"):
        unpack(CONTENT, other)
