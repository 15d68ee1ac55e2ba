"""Files are whole or absent, settings have one name, a folder has one owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvil_repro.files import FolderBusyError, folder_lock, settings_hash, write_atomic


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path) -> None:
    path = write_atomic(tmp_path / "a" / "b.csv", "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    assert write_atomic(path, b"new").read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert list(path.parent.iterdir()) == [path]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = write_atomic(tmp_path / "rows.csv", "old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full_disk)
    with pytest.raises(OSError, match=r"cannot write .*rows.csv: No space left on device. Is the disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    assert write_atomic(path, "new").read_text() == "new"  # control


def test_a_folder_that_cannot_be_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match=r"cannot write .*writable"):
            write_atomic(folder / "x", "")
        with pytest.raises(OSError, match=r"cannot write into .*choose another"), folder_lock(folder):
            pass


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "run"):
        with (
            pytest.raises(FolderBusyError, match=f"in use by process {os.getpid()} on"),
            folder_lock(tmp_path / "run"),
        ):
            pass
        with folder_lock(tmp_path / "other"):
            pass
    with folder_lock(tmp_path / "run"):  # control: it is free again
        pass


def test_equal_settings_have_equal_names() -> None:
    assert settings_hash({"a": 1, "b": (2,)}) == settings_hash({"b": [2], "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})
    assert len(settings_hash({})) == 12
    with pytest.raises(ValueError, match="JSON"):
        settings_hash({"rate": float("nan")})
