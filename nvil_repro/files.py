"""Files that are either whole or absent: atomic writes, settings hashes, one owner per results folder."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomic(path: str | Path, content: bytes | str) -> Path:
    """Write `content` to `path` so that a reader, or a crash at any moment, sees the old file or the new one.

    Errors: `OSError` names the file and leaves neither a partial nor a temporary file behind.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}. Is the disk writable?") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}. Is the disk full?") from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Twelve hex digits that name a run's settings: SHA-256 of their canonical JSON."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


class FolderBusyError(RuntimeError):
    """Another live process owns the folder; the message names it."""


@contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Own `folder`, made if need be, for the length of the block; the kernel drops the lock if the process dies.

    Errors: `FolderBusyError` naming the host and process that hold it; `OSError` if the folder cannot be written.
    """
    import fcntl

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+")
    except OSError as error:
        advice = "make it writable or choose another results folder"
        raise OSError(error.errno, f"cannot write into {folder}: {error.strerror}; {advice}") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "an unnamed process"
            raise FolderBusyError(
                f"{folder} is in use by {holder}; wait for it to finish, stop it, or choose another folder"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
