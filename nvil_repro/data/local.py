"""The first tier, what this machine already has: the folder in `NVIL_REPRO_DATA`, then the per-user cache.

Both have the same layout, so a copied cache is a data folder. A file may be stored gzipped or plain.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nvil_repro.data.content import (
    Attempt,
    CorruptDataError,
    DataFile,
    Source,
    notice,
    open_archive,
    unpack,
)
from nvil_repro.files import write_atomic


class Place(NamedTuple):
    """A folder that may hold data files."""

    label: str
    root: Path

    def __str__(self) -> str:
        return f"{self.label} {self.root}"

    def copy_of(self, file: DataFile) -> Path | None:
        """Where this place keeps `file`, unchecked; None if it does not."""
        stored = self.root / file.path
        return next((path for path in (stored, stored.with_name(file.name)) if path.is_file()), None)

    def archive_of(self, source: Source) -> Path | None:
        """Where this place keeps the archive of `source`, unchecked; None if it does not, or there is none."""
        paths = [self.root / path for path in (source.archive.paths if source.archive else ())]
        return next((path for path in paths if path.is_file()), None)


class Found(NamedTuple):
    """Verified content and where it came from."""

    content: bytes
    origin: str


def cache() -> Place:
    """The per-user cache: `NVIL_REPRO_CACHE`, or nvil-repro in the platform's cache folder."""
    if chosen := os.environ.get("NVIL_REPRO_CACHE"):
        return Place("cache", Path(chosen).expanduser() / "data")
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Place("cache", base / "nvil-repro" / "data")


def places() -> tuple[Place, ...]:
    """The folders to look in, in order."""
    chosen = os.environ.get("NVIL_REPRO_DATA")
    return (Place("folder", Path(chosen).expanduser()), cache()) if chosen else (cache(),)


def find(
    files: Sequence[DataFile], where: Sequence[Place], tell: bool = True
) -> tuple[dict[str, Found], list[Attempt]]:
    """Those of `files` that the places hold intact, by content name, and why the others were not found there.

    A damaged file is passed over, and named in a notice if `tell`.
    """
    found: dict[str, Found] = {}
    attempts: list[Attempt] = []
    if not os.environ.get("NVIL_REPRO_DATA"):
        attempts.append(Attempt("folder", "NVIL_REPRO_DATA is not set"))
    for place in where:
        missing = []
        for file in (file for file in files if file.name not in found):
            path = place.copy_of(file)
            if path is None:
                missing.append(file.path)
                continue
            try:
                found[file.name] = Found(unpack(path.read_bytes(), file), str(place))
            except (OSError, CorruptDataError) as error:
                attempts.append(Attempt(place.label, f"{path} is not usable: {error}"))
                if tell:
                    notice(f"{path} is not usable ({error}); trying the next source")
        if missing:
            why = f"no {', '.join(missing)} in it" if place.root.is_dir() else "there is no such folder"
            attempts.append(Attempt(str(place), why))
    return found, attempts


def find_in_archives(source: Source, where: Sequence[Place]) -> tuple[dict[str, Found], list[Attempt]]:
    """The files of `source`, by content name, from the first intact archive in one of the places."""
    attempts: list[Attempt] = []
    for place in where:
        if (path := place.archive_of(source)) is None:
            continue
        try:
            contents = open_archive(source, path.read_bytes())
        except (OSError, ValueError) as error:
            attempts.append(Attempt(place.label, f"{path} is not usable: {error}"))
            notice(f"{path} is not usable ({error}); trying the next source")
            continue
        return {name: Found(content, str(place)) for name, content in contents.items()}, attempts
    return {}, attempts


def store(file: DataFile, content: bytes) -> Path:
    """Put verified content into the cache, whole or not at all; a damaged copy is replaced.

    Errors: `OSError` naming the file when the disk is full or read-only.
    """
    path = cache().root / file.path
    return write_atomic(path, gzip.compress(content, 4, mtime=0) if path.suffix == ".gz" else content)


@contextmanager
def fetching(source: Source) -> Iterator[None]:
    """Be the only process that fetches `source` into the cache; a second one waits here.

    The kernel drops the lock when its process dies. Errors: `OSError` if the cache cannot be written.
    """
    import fcntl

    root = cache().root
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{source.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notice(f"another process is fetching {source.name} into {root}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
