"""The reader of token files: what it counts, and that nothing broken passes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from nvil_repro.data.content import CorruptDataError
from nvil_repro.data.rcv1_tokens import Stems, TokenBlock, token_blocks

TEXT = b""".I 2286
.W
recov recov bring mexic
excit recov

.I 2287
.W

.I 2290
.W
mexic 3.5 zinc

"""


def read(
    path: Path, documents: int | None = None, block_bytes: int = 2**20
) -> tuple[list[TokenBlock], Stems]:
    stems = Stems()
    return list(token_blocks(path, stems, set(), documents=documents, block_bytes=block_bytes)), stems


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.dat.gz"
    path.write_bytes(gzip.compress(TEXT))
    return path


@pytest.mark.parametrize("block_bytes", [1, 13, 30, 1000])
def test_counts_do_not_depend_on_where_the_text_is_cut(path: Path, block_bytes: int) -> None:
    blocks, stems = read(path, block_bytes=max(block_bytes, 1))
    assert list(stems) == [b"recov", b"bring", b"mexic", b"excit", b"3.5", b"zinc"]
    assert [number for block in blocks for number in block.ids] == [2286, 2287, 2290]
    dense = np.concatenate([block.counts._replace(vocabulary=6).dense() for block in blocks])
    np.testing.assert_array_equal(dense, [[3, 1, 1, 1, 0, 0], [0] * 6, [0, 0, 1, 0, 1, 1]])


def test_plain_files_and_several_gzip_members_are_read_alike(path: Path) -> None:
    zipped = read(path)
    path.write_bytes(TEXT)
    plain = read(path)
    cut = TEXT.index(b"bring")
    path.write_bytes(gzip.compress(TEXT[:cut]) + gzip.compress(TEXT[cut:]))
    for blocks, stems in (plain, read(path)):
        assert stems == zipped[1]
        assert blocks[0].ids == zipped[0][0].ids
        np.testing.assert_array_equal(blocks[0].counts.dense(), zipped[0][0].counts.dense())


BROKEN = {
    "text before the first document": (
        b"mexic\n" + TEXT,
        r"line 1, no document: expected '.I' .* found 'mexic'",
    ),
    "an id that is no number": (TEXT.replace(b"2287", b"22a7"), r"line 6, no document: .* found '.I 22a7'"),
    "no .W": (
        TEXT.replace(b".I 2287\n.W\n", b".I 2287\nzinc\n"),
        r"line 7, document 2287: expected '.W', found 'zinc'",
    ),
    "no blank line": (
        TEXT.replace(b"excit recov\n\n", b"excit recov\n"),
        r"line 5, document 2286: found '.I 2287'",
    ),
    "a letter of Latin-1": (TEXT.replace(b"excit", b"\xe9xcit"), r"line 4, document 2286: byte 0xe9"),
    "letters of UTF-8": (TEXT.replace(b"zinc", "żinc".encode()), r"line 11, document 2290: byte 0xc5"),
    "a zero byte": (TEXT.replace(b"zinc", b"zi\0nc"), r"line 11, document 2290: byte 0x00"),
    "line ends of Windows": (TEXT.replace(b"\n", b"\r\n"), r"line 1, no document: .* found '.I 2286\\r'"),
    "a repeated id": (TEXT.replace(b"2290", b"2286"), r"line 9, document 2286: there was one of this id"),
    "cut before .W": (TEXT[: TEXT.rindex(b".W")], r"line 10, document 2290: the file ends within it"),
    "cut within a line": (TEXT[:-4], r"line 11, document 2290: the file ends within it"),
    "cut before the blank line": (TEXT[:-1], r"line 12, document 2290: the file ends within it"),
    "something else": (b"\x89PNG" * 99, r"line 1, no document: expected '.I' .* found '\\x89PNG"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("block_bytes", [20, 1000])
def test_a_broken_file_is_refused_by_line_and_document(
    path: Path, content: bytes, message: str, block_bytes: int
) -> None:
    path.write_bytes(gzip.compress(content))
    with pytest.raises(CorruptDataError, match=rf"tokens\.dat\.gz, {message}"):
        read(path, block_bytes=block_bytes)


def test_an_id_of_an_earlier_file_is_refused(path: Path) -> None:
    with pytest.raises(CorruptDataError, match="line 6, document 2287: there was one of this id before"):
        list(token_blocks(path, Stems(), {2287}))
    assert sum(len(block.ids) for block in token_blocks(path, Stems(), {2288})) == 3


@pytest.mark.parametrize("documents", [2, 4])
def test_a_whole_file_has_its_number_of_documents(path: Path, documents: int) -> None:
    with pytest.raises(CorruptDataError, match=rf"ends at line 12 after 3 documents, expected {documents}"):
        read(path, documents)


def test_a_whole_file_may_lack_the_last_blank_line(path: Path) -> None:
    path.write_bytes(TEXT[:-1])
    assert read(path, documents=3)[0][-1].ids[-1] == 2290
    with pytest.raises(CorruptDataError, match="expected 4"):
        read(path, documents=4)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(CorruptDataError, match="ends at line 0 after 0 documents, expected some"):
        read(path)


@pytest.mark.parametrize("harm", [lambda raw: raw[:-20], lambda raw: raw[:40] + b"\0\0\0\0" + raw[44:]])
def test_a_damaged_gzip_stream_is_refused(path: Path, harm) -> None:
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(CorruptDataError, match=r"tokens\.dat\.gz, after line \d+: damaged gzip stream"):
        read(path)
