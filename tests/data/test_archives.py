"""Tar archives in memory: every compression, and everything an archive should not be."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

import pytest

from nvil_repro.data.archives import read_tar
from nvil_repro.data.formats import FormatError

CONTENTS = {"folder/one": b"one", "folder/two": bytes(range(256)) * 9, "three": b""}


def packed(contents: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """A plain tar archive of a folder, these files and other members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for other in others:
            archive.addfile(other)
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_files_of_an_archive_in_any_compression(compress: Callable[[bytes], bytes]) -> None:
    assert read_tar(compress(packed(CONTENTS))) == CONTENTS


def test_a_leading_dot_is_no_part_of_a_name_and_links_are_not_followed() -> None:
    archive = packed(
        {"./a/b": b"x"}, special("link", tarfile.LNKTYPE, "a/b"), special("soft", tarfile.SYMTYPE, "a")
    )
    assert read_tar(archive) == {"a/b": b"x"}


def test_a_sparse_member_is_refused_before_its_holes_are_filled() -> None:
    """A few bytes that claim to be many."""
    member = tarfile.TarInfo("folder/holes")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 50_000_000  # the size with its holes
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(FormatError, match="'folder/holes' is sparse"):
        read_tar(bytes(header) + bytes(1024), limit=20_000)
    assert read_tar(packed(CONTENTS), limit=20_000) == CONTENTS  # control


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/up", "C:up", "..\\up", "\\up"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(FormatError, match=r"leads out of it by '.*up'.*another copy"):
        read_tar(packed({name: b"x"}))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with pytest.raises(FormatError, match=r"'innocent' leads out of it by '.*up'"):
            read_tar(packed({}, special("innocent", kind, name)))


def test_dots_within_a_name_are_only_dots() -> None:
    assert read_tar(packed({"a..b/c...": b"x"})) == {"a..b/c...": b"x"}


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_are_refused(kind: bytes) -> None:
    with pytest.raises(FormatError, match="'odd' is no file, folder or link"):
        read_tar(packed({}, special("odd", kind)))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_an_archive_is_never_unpacked_beyond_its_limit(compress: Callable[[bytes], bytes]) -> None:
    archive = compress(packed({"zeros": bytes(1_000_000)}))
    with pytest.raises(FormatError, match="more than 100,000 bytes unpacked"):
        read_tar(archive, limit=100_000)
    assert read_tar(archive, limit=1_100_000) == {"zeros": bytes(1_000_000)}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_truncated_archive_is_refused(compress: Callable[[bytes], bytes]) -> None:
    archive = compress(packed(CONTENTS))
    with pytest.raises(FormatError, match="truncated"):
        read_tar(archive[: len(archive) // 3 if compress is bytes else -9])


@pytest.mark.parametrize("raw", [b"", b"no archive", b"\x1f\x8b" + bytes(40), b"BZhno", b"\xfd7zXZ\0no"])
def test_what_is_no_archive_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match=r"damaged|truncated"):
        read_tar(raw)
