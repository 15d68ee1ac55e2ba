"""The second tier: public mirrors on the web, through pooch, with timeouts that suit an offline machine."""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from nvil_repro.data.content import (
    Attempt,
    CorruptDataError,
    DataFile,
    Source,
    notice,
    open_archive,
    unpack,
)
from nvil_repro.data.local import Found

RESOLVE_SECONDS = 4.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
MAXIMUM_BYTES = 2**30


def fetch(source: Source, files: Sequence[DataFile]) -> tuple[dict[str, Found], list[Attempt]]:
    """Those of `files` that a mirror serves intact, and why the mirrors before it did not.

    A mirror is given up at its first failure, so a dead one costs one timeout.
    """
    if find_spec("pooch") is None:
        return {}, [Attempt("web", "pooch is not installed; pip install pooch")]
    found: dict[str, Found] = {}
    attempts: list[Attempt] = []
    for mirror in reachable(source.mirrors, attempts):
        for file in (file for file in files if file.name not in found):
            url = mirror.replace("{name}", file.name)
            try:
                raw = download(url)
                contents = open_archive(source, raw) if source.archive else {file.name: unpack(raw, file)}
                origin = f"web {urlsplit(url).hostname}"
                found |= {name: Found(content, origin) for name, content in contents.items()}
            except (OSError, ValueError) as error:
                kind = "" if isinstance(error, CorruptDataError) else f"{type(error).__name__}: "
                attempts.append(Attempt(f"web {url}", f"{kind}{error}"))
                break
        if all(file.name in found for file in files):
            break
    return found, attempts


class _Progress:
    """What pooch tells of a download: a bar on a terminal, and the end of one that is too large."""

    def __init__(self, limit: int) -> None:
        self.limit, self.done, self.total, self.bar = limit, 0, 0, None
        if sys.stderr.isatty() and find_spec("tqdm") is not None:
            from tqdm import tqdm

            self.bar = tqdm(ncols=79, unit="B", unit_scale=True)

    def update(self, size: int) -> None:
        self.done += size
        if max(self.done - size, self.total) > self.limit:  # the last piece counts as a whole one
            raise OSError(f"more than {self.limit:,} bytes: not the file that was asked for")
        if self.bar is not None:
            self.bar.total = self.total
            self.bar.update(size)

    def reset(self) -> None:
        self.done = 0
        if self.bar is not None:
            self.bar.reset()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def download(url: str) -> bytes:
    """What the address serves. Errors: `OSError`, among them those of timeouts and refusals, or for too many bytes."""
    import pooch

    notice(f"downloading {url}")
    pooch.get_logger().setLevel("WARNING")
    progress: Any = _Progress(MAXIMUM_BYTES)
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=(CONNECT_SECONDS, READ_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        return Path(pooch.retrieve(url, None, fname="file", path=folder, downloader=downloader)).read_bytes()


def reachable(mirrors: Sequence[str], attempts: list[Attempt]) -> list[str]:
    """The mirrors whose host name resolves; the names are asked for at once, so all together wait once."""
    hosts = {mirror: urlsplit(mirror).hostname or "" for mirror in mirrors}
    resolved: set[str] = set()

    def resolve(host: str) -> None:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return
        resolved.add(host)

    # A proxy resolves names itself, and a resolver without a network can hang: hence the threads left behind.
    direct = {host for mirror, host in hosts.items() if urlsplit(mirror).scheme not in getproxies()}
    threads = [Thread(target=resolve, args=(host,), daemon=True) for host in direct]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(RESOLVE_SECONDS)
    unreachable = direct - resolved
    attempts += [Attempt(f"web {host}", "the host name cannot be resolved") for host in sorted(unreachable)]
    return [mirror for mirror in mirrors if hosts[mirror] not in unreachable]
