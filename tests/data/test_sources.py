"""The order of the tiers, what the cache keeps, and what an error names."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.data import local, package_index, web
from nvil_repro.data.content import Attempt, DataFile, DataUnavailableError, Source
from nvil_repro.data.local import Found
from nvil_repro.data.sources import obtain

from .conftest import Toy, archived


def serve(toy: Toy, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[list[str]]:
    """Let the web tier serve the named files; the returned list logs what it is asked for."""
    asked: list[list[str]] = []

    def fetch(source: Source, files: list[DataFile]) -> tuple[dict[str, Found], list[Attempt]]:
        asked.append([file.name for file in files])
        served = {file.name: Found(toy.contents[file.name], "web") for file in files if file.name in names}
        return served, [] if len(served) == len(files) else [Attempt("web here", "no such file")]

    monkeypatch.setattr(web, "fetch", fetch)
    return asked


def contents(found: dict[str, Found]) -> dict[str, bytes]:
    return {name: item.content for name, item in found.items()}


def test_the_folder_comes_first(
    toy: Toy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.put(cache)
    monkeypatch.setenv("NVIL_REPRO_DATA", str(toy.put(tmp_path / "mine")))
    found = obtain(toy.source)
    assert contents(found) == toy.contents
    assert {item.origin for item in found.values()} == {f"folder {tmp_path / 'mine'}"}
    (tmp_path / "mine" / "toy" / "two.gz").unlink()
    assert [item.origin.split()[0] for item in obtain(toy.source).values()] == ["folder", "cache"]


def test_a_plain_file_serves_as_well_as_a_gzipped_one(toy: Toy, cache: Path) -> None:
    toy.put(cache, "one")
    (cache / "toy" / "two").write_bytes(toy.contents["two"])
    assert contents(obtain(toy.source)) == toy.contents


def test_what_is_fetched_is_kept(toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(toy, monkeypatch, "one", "two")
    assert contents(obtain(toy.source, ["two"])) == {"two": toy.contents["two"]}
    assert contents(obtain(toy.source)) == toy.contents
    assert asked == [["two"], ["one"]]
    assert obtain(toy.source)["one"].origin == f"cache {cache}"
    assert not list(cache.rglob("*.tmp"))


def test_a_damaged_cached_file_is_named_and_fetched_again(
    toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.put(cache)
    damaged = cache / "toy" / "two.gz"
    damaged.write_bytes(damaged.read_bytes()[:-12])
    asked = serve(toy, monkeypatch, "two")
    assert contents(obtain(toy.source)) == toy.contents
    assert asked == [["two"]]
    assert capsys.readouterr().err.count(f"{damaged} is not usable") == 1
    obtain(toy.source)
    assert asked == [["two"]], "the damaged file was replaced"


def test_a_damaged_file_of_the_folder_is_named_and_left_alone(
    toy: Toy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = toy.put(tmp_path / "mine") / "toy" / "one.gz"
    damaged.write_bytes(b"damaged")
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path / "mine"))
    with pytest.raises(DataUnavailableError, match=f"{damaged} is not usable: one has 7 bytes, expected 200"):
        obtain(toy.source)
    toy.put(cache)
    assert contents(obtain(toy.source)) == toy.contents
    assert "trying the next source" in capsys.readouterr().err
    assert damaged.read_bytes() == b"damaged"


def test_an_archive_of_the_folder_serves_what_is_not_there_as_files(
    toy: Toy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = archived(toy)
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path / "mine"))
    archive = tmp_path / "mine" / "toy" / "both.tar"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"|".join(toy.contents.values()))
    assert contents(obtain(source, ["two"])) == {"two": toy.contents["two"]}
    toy.put(cache, "one")
    found = obtain(source)
    assert contents(found) == toy.contents
    assert [item.origin.split()[0] for item in found.values()] == ["cache", "folder"]
    for damaged, why in ((b"one", "no bar in the archive"), (b"one|two", "one has 3 bytes, expected 200")):
        archive.write_bytes(damaged)
        with pytest.raises(DataUnavailableError, match=f"{archive} is not usable: {why}"):
            obtain(source)
        assert f"{archive} is not usable ({why}); trying the next source" in capsys.readouterr().err
    with pytest.raises(DataUnavailableError, match=r"put toy/both\.tar\.xz into a folder"):
        obtain(source)


def test_the_error_names_every_place(toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = toy.source._replace(mirrors=("https://nowhere.invalid/{name}.gz",))
    with pytest.raises(DataUnavailableError) as failure:
        obtain(source)
    assert [attempt.where for attempt in failure.value.attempts] == [
        "folder", f"cache {cache}", "web nowhere.invalid", "package index",
    ]  # fmt: skip
    for text in (
        "'toy' cannot be had",
        "NVIL_REPRO_DATA is not set",
        "cannot be resolved",
        "toy/one.gz, toy/two.gz",
    ):
        assert text in str(failure.value)
    monkeypatch.setenv("NVIL_REPRO_DATA", "/no/such/folder")
    with pytest.raises(DataUnavailableError, match="folder /no/such/folder: there is no such folder"):
        obtain(source)


def test_half_a_data_set_is_an_error_but_what_came_is_kept(
    toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(toy, monkeypatch, "one")
    with pytest.raises(DataUnavailableError, match="web here: no such file"):
        obtain(toy.source)
    assert (cache / "toy" / "one.gz").is_file()


def test_a_cache_that_cannot_be_written_is_named_before_anything_is_fetched(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NVIL_REPRO_CACHE", str(tmp_path / "file"))
    asked = serve(toy, monkeypatch, "one", "two")
    with pytest.raises(DataUnavailableError, match=r"cache .*file.* writable folder in NVIL_REPRO_CACHE"):
        obtain(toy.source)
    assert asked == []


def test_a_full_disk_leaves_nothing_partial(toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(toy, monkeypatch, "one", "two")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataUnavailableError, match="No space left on device"):
        obtain(toy.source)
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_the_package_index_is_asked_only_for_what_the_web_has_not(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(toy, monkeypatch, "one")
    asked = []

    def fetch(source: Source, files: list[DataFile]) -> tuple[dict[str, Found], list[Attempt]]:
        asked.append([file.name for file in files])
        return {name: Found(content, "package") for name, content in toy.contents.items()}, []

    monkeypatch.setattr(package_index, "fetch", fetch)
    assert contents(obtain(toy.source)) == toy.contents
    assert asked == [["two"]]


def fetch_slowly(toy: Toy, downloads: Any, results: Any, patience: float) -> None:
    """Obtain `toy` in a process of its own; its web counts visitors and waits for a second one."""

    def fetch(source: Source, files: list[DataFile]) -> tuple[dict[str, Found], list[Attempt]]:
        with downloads.get_lock():
            downloads.value += 1
        end = time.monotonic() + patience
        while downloads.value < 2 and time.monotonic() < end:
            time.sleep(0.01)
        return {file.name: Found(toy.contents[file.name], "web") for file in files}, []

    web.fetch = fetch  # type: ignore[assignment]
    results.put(contents(obtain(toy.source)) == toy.contents)


def race(toy: Toy, patience: float) -> tuple[list[bool], int]:
    """Whether two processes at once got the data, and how many of them downloaded it."""
    context = multiprocessing.get_context("fork")
    downloads, results = context.Value("i", 0), context.Queue()
    arguments = (toy, downloads, results, patience)
    workers = [context.Process(target=fetch_slowly, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    return outcomes, downloads.value


def test_of_two_processes_one_downloads_and_the_other_waits(toy: Toy) -> None:
    assert race(toy, patience=0.2) == ([True, True], 1)


def test_without_the_lock_both_would_download(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(fcntl, "flock", lambda *args: None)
    assert race(toy, patience=30) == ([True, True], 2)


def test_the_cache_is_where_the_platform_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NVIL_REPRO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert local.cache().root == tmp_path / "nvil-repro" / "data"
    monkeypatch.setattr("sys.platform", "darwin")
    assert local.cache().root.parts[-4:] == ("Library", "Caches", "nvil-repro", "data")
