"""A tiny data set, a cache of its own for every test, and no way out to the network but for tests of real data."""

from __future__ import annotations

import gzip
import hashlib
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from nvil_repro.data import local
from nvil_repro.data.content import Archive, DataFile, Source
from nvil_repro.data.formats import FormatError


class Toy(NamedTuple):
    source: Source
    contents: dict[str, bytes]

    def put(self, root: Path, *names: str) -> Path:
        """Lay the named files (all by default) out in a data folder."""
        for file in self.source.files:
            if not names or file.name in names:
                path = root / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(gzip.compress(self.contents[file.name]))
        return root


def archived(toy: Toy) -> Source:
    """The toy source with an archive, which is the two contents with a bar between them."""

    def convert(raw: bytes) -> dict[str, bytes]:
        one, bar, two = raw.partition(b"|")
        if not bar:
            raise FormatError("no bar in the archive")
        return {"one": one, "two": two}

    return toy.source._replace(archive=Archive(("toy/both.tar.xz", "toy/both.tar"), convert))


def data_file(path: str, content: bytes) -> DataFile:
    return DataFile(path, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def toy() -> Toy:
    contents = {"one": b"one " * 50, "two": b"two " * 70}
    files = tuple(data_file(f"toy/{name}.gz", content) for name, content in contents.items())
    return Toy(Source("toy", "a toy", "none", files), contents)


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.node.get_closest_marker("real_data"):
        return local.cache().root
    monkeypatch.setenv("NVIL_REPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NVIL_REPRO_DATA", raising=False)
    return tmp_path / "cache" / "data"


@pytest.fixture(autouse=True)
def _offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine's own address resolves, and pip is told to look nowhere."""
    if request.node.get_closest_marker("real_data"):
        return
    resolve = socket.getaddrinfo

    def only_here(host: str, *args: object, **kwargs: object) -> object:
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "no network in tests")
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", only_here)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
