"""pyproject.toml, the lock, environment.yml, the hooks and the citation agree on every version.

Each check maps a project's folder to its faults, so that it is also run on copies that break the promise.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CUDA = re.compile(r"(cuda|nvidia|triton)\b")  # they come with torch itself
Check = Callable[[Path], Iterable[str]]


def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def declared(root: Path) -> list[Requirement]:
    """What pyproject.toml asks for, all extras together."""
    project = pyproject(root)["project"]
    lines = sum(project["optional-dependencies"].values(), project["dependencies"])
    return [Requirement(line) for line in lines]


def locked(root: Path) -> dict[str, Requirement]:
    """The lock's lines by canonical name."""
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def version_of(pin: Requirement) -> str:
    return str(pin.specifier).removeprefix("==")


def lock_faults(root: Path) -> Iterator[str]:
    """The lock pins each declared package within its range, torch at 2.13.0, and nothing of CUDA."""
    pins = locked(root)
    loose = [pin for pin in pins.values() if not re.fullmatch(r"==[0-9][^,*]*", str(pin.specifier))]
    if loose:
        yield f"not pinned to one version: {loose}"
        return
    for name in pins:
        if CUDA.match(name):
            yield f"{name} belongs to one build of torch, not into the lock"
    for wanted in declared(root):
        pin = pins.get(canonicalize_name(wanted.name))
        if pin is None:
            yield f"{wanted.name} is in pyproject.toml and not in the lock"
        elif not wanted.specifier.contains(version_of(pin)):
            yield f"the lock has {pin}, pyproject.toml wants {wanted}"
    if "torch" in pins and version_of(pins["torch"]) != "2.13.0":
        yield "torch is not pinned at 2.13.0"


def environment_faults(root: Path) -> Iterator[str]:
    """environment.yml reads the lock; whatever version it names itself is the lock's."""
    pins = locked(root)
    requires = SpecifierSet(pyproject(root)["project"]["requires-python"])
    wanted = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in wanted if isinstance(entry, dict))
    for line in ("-r requirements.lock", "-e ."):
        if line not in from_pip:
            yield f"environment.yml does not install {line!r} with pip"
    for line in (*wanted, *from_pip):
        if not isinstance(line, str) or line.startswith("-"):
            continue
        entry = Requirement(line)
        pin = pins.get(canonicalize_name(entry.name))
        if entry.name == "python" and not set(requires) <= set(entry.specifier):
            yield f"environment.yml wants {entry}, pyproject.toml {requires}"
        if pin and not entry.specifier.contains(version_of(pin)):
            yield f"environment.yml wants {entry}, the lock has {pin}"


def hook_faults(root: Path) -> Iterator[str]:
    """The pre-commit hooks run the lock's tools."""
    pins = locked(root)
    (repo,) = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]:
        for line in hook["additional_dependencies"]:
            tool = Requirement(line)
            if tool.specifier != pins[canonicalize_name(tool.name)].specifier:
                yield f"the hook {hook['id']} runs {tool}, the lock has {pins[canonicalize_name(tool.name)]}"


def version_faults(root: Path) -> Iterator[str]:
    """One place says the package's version: the package."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', (root / "nvil_repro/__init__.py").read_text(), re.M)
    settings = pyproject(root)
    source = settings["tool"]["setuptools"]["dynamic"]["version"]
    if "version" in settings["project"] or source != {"attr": "nvil_repro.__version__"}:
        yield "pyproject.toml does not read the version from the package"
    cited = yaml.safe_load((root / "CITATION.cff").read_text())["version"]
    if cited != version:
        yield f"CITATION.cff has version {cited}, the package {version}"


@pytest.mark.parametrize("check", [lock_faults, environment_faults, hook_faults, version_faults])
def test_versions_agree(check: Check) -> None:
    assert list(check(ROOT)) == []


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "fault"),
    [
        (lock_faults, "requirements.lock", "torch==2.13.0", "torch==2.*", "not pinned to one version"),
        (lock_faults, "requirements.lock", "torch==2.13.0", "torch==2.9.0", "wants torch>=2.10"),
        (lock_faults, "requirements.lock", "torch==2.13.0", "torch==2.14.0", "not pinned at 2.13.0"),
        (lock_faults, "requirements.lock", "torch==2.13.0", "", "torch is in pyproject.toml and not"),
        (lock_faults, "requirements.lock", "torch==", "triton==3.7.1\ntorch==", "triton belongs to"),
        (lock_faults, "pyproject.toml", '"numpy>=2.0"', '"numpy>=99"', "pyproject.toml wants numpy>=99"),
        (lock_faults, "pyproject.toml", '"numpy>=2.0"', '"numpy>=2.0", "xarray"', "xarray is in"),
        (environment_faults, "environment.yml", "-r requirements.lock", "torch==2.13.0", "does not install"),
        (
            environment_faults,
            "environment.yml",
            "- -e .",
            "- -e .\n      - torch==2.12.0",
            "wants torch==2.12",
        ),
        (environment_faults, "environment.yml", "python>=3.11", "python>=3.12", "wants python<3.14,>=3.12"),
        (hook_faults, ".pre-commit-config.yaml", "ruff==", "ruff==1.", "ruff-check runs"),
        (version_faults, "nvil_repro/__init__.py", '__version__ = "', '__version__ = "9.', "CITATION.cff"),
        (version_faults, "pyproject.toml", 'dynamic = ["version"]', 'version = "0"', "does not read"),
    ],
)
def test_a_disagreement_is_noticed(
    check: Check, file: str, old: str, new: str, fault: str, tmp_path: Path
) -> None:
    (tmp_path / "nvil_repro").mkdir()
    for name in ("requirements.lock", "pyproject.toml", "environment.yml", ".pre-commit-config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("CITATION.cff", "nvil_repro/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    assert fault in "\n".join(check(tmp_path))


def needed(roots: list[Requirement]) -> set[str]:
    """The canonical names of all that `roots` bring along on this machine, as far as it is installed."""
    seen: set[tuple[str, str]] = set()
    queue = list(roots)
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        extras = {(name, extra) for extra in ("", *wanted.extras)} - seen
        seen |= extras
        try:
            requires = [Requirement(line) for line in metadata.requires(name) or []] if extras else []
        except metadata.PackageNotFoundError:
            continue
        for line in requires:
            if line.marker is None or any(line.marker.evaluate({"extra": extra}) for _, extra in extras):
                queue.append(line)
    return {name for name, _ in seen}


def test_the_lock_is_complete() -> None:
    """Every package that a declared one brings along is pinned, whatever it is that asks for it."""
    brought = {name for name in needed(declared(ROOT)) if not CUDA.match(name)}
    assert brought - set(locked(ROOT)) == set()
    assert {"markupsafe", "llvmlite", "mpmath"} <= brought  # none is declared: a lock without them would show
