"""Tar archives read from memory: nothing of them is ever written to disk, and their size is bounded."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable
from typing import Protocol

from nvil_repro.data.formats import FormatError

MAXIMUM_BYTES = 2**28


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_DECOMPRESSORS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}


def read_tar(raw: bytes, limit: int = MAXIMUM_BYTES) -> dict[str, bytes]:
    """The regular files of a tar archive (plain, gzip, bzip2 or xz) of at most `limit` bytes unpacked, by name.

    Links within the archive are not followed. Errors: `FormatError` for an archive that is damaged, truncated or too
    large, that holds devices or sparse files, or that has a name or link that is absolute or climbs out by `..`.
    """
    contents = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompress(raw, limit)), mode="r:") as archive:
            for member in archive:
                _check(member)
                if member.isfile():
                    file = archive.extractfile(member)
                    assert file is not None
                    contents[member.name.removeprefix("./")] = file.read()
    except tarfile.TarError as error:
        raise FormatError(f"a damaged or truncated tar archive ({error}); get it anew") from error
    return contents


def _check(member: tarfile.TarInfo) -> None:
    """Refuse a member that would be dangerous to extract, though we never do: no honest archive has one."""
    targets = [member.linkname] if member.islnk() or member.issym() else []
    for name in (member.name, *targets):
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
            raise FormatError(
                f"the archive's member {member.name!r} leads out of it by {name!r}; get another copy"
            )
    if not (member.isfile() or member.isdir() or targets):
        raise FormatError(
            f"the archive's member {member.name!r} is no file, folder or link; get another copy"
        )
    if member.issparse():  # which may be far larger than the archive
        raise FormatError(f"the archive's member {member.name!r} is sparse; get another copy")


def _decompress(raw: bytes, limit: int) -> bytes:
    start = next((start for start in _DECOMPRESSORS if raw.startswith(start)), None)
    content = raw
    if start is not None:
        stream = _DECOMPRESSORS[start]()
        try:
            content = stream.decompress(raw, limit + 1)
        except (zlib.error, lzma.LZMAError, OSError) as error:
            raise FormatError(f"a damaged compressed archive ({error}); get it anew") from error
        if len(content) <= limit and not stream.eof:
            raise FormatError(
                f"a truncated archive: it ends after {len(content):,} bytes unpacked; get it anew"
            )
    if len(content) > limit:
        raise FormatError(f"an archive of more than {limit:,} bytes unpacked")
    return content
