"""Corpora that take long to build, kept in the per-user cache as plain arrays: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nvil_repro.data import local
from nvil_repro.data.content import notice
from nvil_repro.data.counts import Counts
from nvil_repro.files import settings_hash, write_atomic


class Built(NamedTuple):
    """Counted documents, their words, and what is to be known of their making (anything that JSON can hold)."""

    counts: Counts
    words: tuple[str, ...]  # [V]
    facts: dict[str, Any]


def cached(name: str, settings: Mapping[str, Any], build: Callable[[], Built]) -> Built:
    """What the cache holds under `name` and `settings`, which must determine it; else what `build` makes, then kept.

    A damaged file is replaced; a cache that cannot be written is named in a notice, and does no harm.
    """
    path = local.cache().root / "corpora" / f"{name}-{settings_hash(settings)}.npz"
    if path.is_file():
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            notice(f"{path} is not usable ({error}); building {name} again")
    built = build()
    try:
        write_atomic(path, _bytes(built))
    except OSError as error:
        notice(f"{name} is not kept for the next time: {error}")
    return built


def source_hash(*names: str) -> str:
    """The SHA-256 of files of this folder: of the code that makes a corpus, for the settings of `cached`."""
    room = files("nvil_repro.data")
    return hashlib.sha256(b"".join(room.joinpath(name).read_bytes() for name in names)).hexdigest()


def _bytes(built: Built) -> bytes:
    """The arrays in the narrowest integers that hold them, uncompressed, each with its checksum."""
    counts, buffer = built.counts, BytesIO()
    np.savez(
        buffer,
        starts=counts.starts,
        words=_narrow(counts.words),
        counts=_narrow(counts.counts),
        vocabulary=np.frombuffer("\n".join(built.words).encode(), np.uint8),
        facts=np.frombuffer(json.dumps(built.facts).encode(), np.uint8),
    )
    return buffer.getvalue()


def _read(path: Path) -> Built:
    with np.load(path, allow_pickle=False) as arrays:
        words = tuple(arrays["vocabulary"].tobytes().decode().split("\n"))
        entries = arrays["words"].astype(np.int32), arrays["counts"].astype(np.int32)
        facts = json.loads(arrays["facts"].tobytes())
        return Built(Counts(arrays["starts"], *entries, len(words)), words, facts)


def _narrow(array: NDArray[np.int32]) -> NDArray[Any]:
    return array.astype(np.min_scalar_type(array.max(initial=0)))
