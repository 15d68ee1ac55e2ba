"""The web tier against a server on this machine."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from nvil_repro.data import web

from .conftest import Toy, archived

pytest.importorskip("pooch")


class Server(NamedTuple):
    address: str
    pages: dict[str, bytes]
    log: list[str]


@pytest.fixture
def server() -> Iterator[Server]:
    pages: dict[str, bytes] = {}
    log: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            log.append(self.path)
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield Server(f"http://127.0.0.1:{running.server_port}", pages, log)
    running.shutdown()
    running.server_close()


def test_a_mirror_serves_gzipped_or_plain_files(toy: Toy, server: Server) -> None:
    server.pages.update({"/one.gz": gzip.compress(toy.contents["one"]), "/two.gz": toy.contents["two"]})
    source = toy.source._replace(mirrors=(server.address + "/{name}.gz",))
    found, attempts = web.fetch(source, source.files)
    assert {name: item.content for name, item in found.items()} == toy.contents
    assert {item.origin for item in found.values()} == {"web 127.0.0.1"}
    assert attempts == []


def test_the_next_mirror_serves_what_the_one_before_did_not(toy: Toy, server: Server) -> None:
    server.pages.update(
        {"/a/one": toy.contents["one"], "/a/two": b"an error page", "/c/two": toy.contents["two"]}
    )
    mirrors = tuple(f"{server.address}/{folder}/{{name}}" for folder in "abc")
    found, attempts = web.fetch(toy.source._replace(mirrors=mirrors), toy.source.files)
    assert {name: item.content for name, item in found.items()} == toy.contents
    assert server.log == ["/a/one", "/a/two", "/b/two", "/c/two"]
    assert "two has 13 bytes, expected 280" in attempts[0].why
    assert "404" in attempts[1].why


def test_an_archive_is_downloaded_once_for_all_its_files(toy: Toy, server: Server) -> None:
    server.pages.update({"/other": b"another archive", "/both": b"|".join(toy.contents.values())})
    source = archived(toy)._replace(mirrors=(server.address + "/other", server.address + "/both"))
    found, attempts = web.fetch(source, source.files)
    assert {name: item.content for name, item in found.items()} == toy.contents
    assert server.log == ["/other", "/both"]
    assert [attempt.why for attempt in attempts] == ["FormatError: no bar in the archive"]


def test_a_dead_mirror_is_given_up_at_its_first_failure(toy: Toy, server: Server) -> None:
    found, attempts = web.fetch(toy.source._replace(mirrors=(server.address + "/{name}",)), toy.source.files)
    assert (found, len(attempts), server.log) == ({}, 1, ["/one"])


def test_a_closed_port_and_an_unknown_host_are_named(toy: Toy) -> None:
    mirrors = ("http://127.0.0.1:9/{name}", "https://nowhere.invalid/{name}")
    found, attempts = web.fetch(toy.source._replace(mirrors=mirrors), toy.source.files)
    assert found == {}
    assert [attempt.where for attempt in attempts] == ["web nowhere.invalid", "web http://127.0.0.1:9/one"]
    assert "cannot be resolved" in attempts[0].why


def test_a_resolver_that_hangs_costs_one_wait(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", lambda *args: time.sleep(1))
    source = toy.source._replace(mirrors=tuple(f"https://host{i}.invalid/{{name}}" for i in range(3)))
    start = time.monotonic()
    found, attempts = web.fetch(source, source.files)
    assert time.monotonic() - start < 0.9
    assert (found, len(attempts)) == ({}, 3)


def test_behind_a_proxy_names_are_the_proxys_business(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    _, attempts = web.fetch(
        toy.source._replace(mirrors=("https://nowhere.invalid/{name}",)), toy.source.files
    )
    assert "ProxyError" in attempts[0].why


def test_a_mirror_that_never_ends_is_given_up(
    toy: Toy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAXIMUM_BYTES", 4_000)
    server.pages["/one"] = bytes(10_000)
    found, attempts = web.fetch(toy.source._replace(mirrors=(server.address + "/{name}",)), toy.source.files)
    assert (found, [attempt.why for attempt in attempts]) == (
        {}, ["OSError: more than 4,000 bytes: not the file that was asked for"],
    )  # fmt: skip
    unannounced = web._Progress(4_000)
    for _ in range(5):
        unannounced.update(1_000)
    with pytest.raises(OSError, match="more than 4,000 bytes"):
        unannounced.update(1_000)
    monkeypatch.setattr(web, "MAXIMUM_BYTES", 10_000)
    assert web.download(server.address + "/one") == bytes(10_000)  # control


def test_a_missing_pooch_is_said(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    assert "pooch is not installed" in web.fetch(toy.source, toy.source.files)[1][0].why
