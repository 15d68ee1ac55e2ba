"""`nvil-repro data` on a catalogue of one toy."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nvil_repro.data import command

from .conftest import Toy, archived


@pytest.fixture(autouse=True)
def catalogue(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SOURCES", {"toy": toy.source})


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.main(parser.parse_args(words))


def test_list_says_what_and_where(toy: Toy, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list") == 0
    assert "toy: a toy\n    2 files, 0 MB uncompressed; none; missing" in capsys.readouterr().out
    toy.put(cache, "one")
    call("list")
    assert f"1 in cache {cache}, 1 missing" in capsys.readouterr().out


def test_fetch_says_who_served(toy: Toy, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy.put(cache)
    assert call("fetch", "toy") == 0
    assert capsys.readouterr().out == f"toy: 2 of 2 files verified, from cache {cache}\n"


def test_fetch_fails_where_nothing_serves(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fetch") == 1
    assert "'toy' cannot be had" in capsys.readouterr().err


def test_fetching_everything_forgives_what_has_a_stand_in(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SOURCES", {"toy": toy.source._replace(stand_in="another")})
    assert call("fetch") == 0
    assert "runs use another" in capsys.readouterr().out
    assert call("fetch", "toy") == 1


def test_verify_names_the_bad_file(
    toy: Toy, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("verify") == 0
    assert "absent   toy/one.gz" in capsys.readouterr().out
    toy.put(cache)
    monkeypatch.setenv("NVIL_REPRO_DATA", str(toy.put(tmp_path / "mine")))
    assert call("verify", "toy") == 0
    bad = cache / "toy" / "two.gz"
    bad.write_bytes(b"bad")
    assert call("verify") == 1
    captured = capsys.readouterr()
    assert f"BAD      {bad}: two has 3 bytes, expected 280" in captured.err
    assert f"good     {tmp_path / 'mine' / 'toy' / 'two.gz'}" in captured.out


def test_an_archive_is_listed_and_verified(
    toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SOURCES", {"toy": archived(toy)})
    archive = cache / "toy" / "both.tar.xz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"|".join(toy.contents.values()))
    assert call("list") == call("verify") == call("fetch") == 0
    said = capsys.readouterr().out
    assert f"none; in cache {cache}" in said
    assert f"good     {archive}" in said
    assert "absent" not in said
    archive.write_bytes(b"bad|")
    assert call("verify") == 1
    assert f"BAD      {archive}: one has 3 bytes, expected 200" in capsys.readouterr().err


def test_an_unknown_name_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fetch", "imagenet") == 2
    said = capsys.readouterr().err
    assert "nvil-repro data: unknown data set imagenet; choose from toy" in said
    assert "rcv1" not in said


def test_what_has_no_hash_is_fetched_by_the_run_that_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fetch", "rcv1") == 2
    assert "rcv1 has no published hash: the run that asks for it fetches it" in capsys.readouterr().err
