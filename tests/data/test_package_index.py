"""The package-index tier with wheels made here and pip's download replaced by a copy."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nvil_repro.data import package_index
from nvil_repro.data.content import DataFile, Package, Source

from .conftest import Toy

PAYLOAD = b"one and two, packed" * 10
Publish = Callable[[dict[str, bytes]], list[list[str]]]


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Make pip 'download' a wheel of the given members; the returned list logs pip's arguments."""

    def with_members(members: dict[str, bytes]) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "toy_hub-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
                for name, content in members.items():
                    wheel.writestr(name, content)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return with_members


def packaged(toy: Toy, contents: dict[str, bytes] | None = None) -> Source:
    """The toy source with a package whose member turns into `contents`."""
    sha256 = hashlib.sha256(PAYLOAD).hexdigest()
    convert = {PAYLOAD: contents or toy.contents}.__getitem__
    return toy.source._replace(
        packages=(Package("toy-hub==1.0", (DataFile("toy/data", sha256, len(PAYLOAD)),), convert),)
    )


def test_one_member_is_read_as_data(toy: Toy, publish: Publish) -> None:
    commands = publish({"toy/__init__.py": b"raise SystemExit", "toy/data": PAYLOAD})
    source = packaged(toy)
    found, attempts = package_index.fetch(source, source.files)
    assert {name: item.content for name, item in found.items()} == toy.contents
    assert {item.origin for item in found.values()} == {"package index toy-hub==1.0"}
    assert attempts == []
    assert {"--no-deps", "--only-binary=:all:", "toy-hub==1.0"} <= set(commands[0])
    assert not Path(commands[0][commands[0].index("--dest") + 1]).exists()


def test_several_members_of_one_wheel_are_read_at_once(toy: Toy, publish: Publish) -> None:
    commands = publish(toy.contents)
    members = tuple(file._replace(path=file.name) for file in toy.source.files)
    package = Package("toy-hub==1.0", members, lambda one, two: {"one": one, "two": two})
    found, _ = package_index.fetch(toy.source._replace(packages=(package,)), toy.source.files)
    assert {name: item.content for name, item in found.items()} == toy.contents
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"toy/other": PAYLOAD}, "has no member toy/data"),
        ({"toy/data": PAYLOAD + b"!"}, "has 191 bytes, expected 190"),
        ({"toy/data": bytes(10_000_000)}, "has 10,000,000 bytes, expected 190"),
        ({"toy/data": PAYLOAD[:-1] + b"!"}, "sha256"),
    ],
)
def test_another_member_is_refused(
    toy: Toy, publish: Publish, members: dict[str, bytes], message: str
) -> None:
    publish(members)
    source = packaged(toy)
    found, attempts = package_index.fetch(source, source.files)
    assert found == {}
    assert message in attempts[0].why


def test_the_converted_files_are_checked_too(toy: Toy, publish: Publish) -> None:
    publish({"toy/data": PAYLOAD})
    source = packaged(toy, toy.contents | {"two": b"x" * 280})
    _, attempts = package_index.fetch(source, source.files)
    assert "two has sha256" in attempts[0].why


def test_a_wheel_that_is_no_archive_is_refused(
    toy: Toy, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        Path(command[command.index("--dest") + 1], "toy.whl").write_bytes(b"not a zip")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    source = packaged(toy)
    assert "not a zip file" in package_index.fetch(source, source.files)[1][0].why


@pytest.mark.parametrize(
    ("warning", "remark"), [("WARNING: x", ""), ("WARNING: Retrying", " (the index did not answer)")]
)
def test_pips_own_words_explain_a_failure(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, warning: str, remark: str
) -> None:
    def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", f"{warning}\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", run)
    source = packaged(toy)
    found, attempts = package_index.fetch(source, source.files)
    assert found == {}
    why = f"pip ended with status 1: ERROR: No matching distribution{remark}"
    assert attempts == [("package index toy-hub==1.0", why)]


def test_a_pip_that_hangs_is_given_up(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], timeout: float, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    source = packaged(toy)
    assert "timed out after 600" in package_index.fetch(source, source.files)[1][0].why


def test_a_source_without_a_package_says_so(toy: Toy) -> None:
    assert package_index.fetch(toy.source, toy.source.files)[1][0].why.startswith("no package")
