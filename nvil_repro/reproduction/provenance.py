"""What made a number: code, torch, hardware, threads."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nvil_repro import __version__

PACKAGE = Path(__file__).resolve().parents[1]
# What only arranges runs and shows results; every other module can move a number.
AROUND = {"cli.py"} | {
    f"reproduction/{name}.py"
    for name in (
        "__init__", "bench_command", "claims", "compare", "continuous_claims", "continuous_figures",
        "criteria_claims", "criteria_figures", "criteria_views", "document_figures", "document_units",
        "document_views", "evaluate_rbm", "execute", "executed_text", "experiment", "figures", "naming", "notebook",
        "partition_claims", "partition_figures", "partition_views", "presentation", "profiles", "profiles_rbm",
        "project", "protocols", "provenance", "published", "rbm_claims", "rbm_figures", "readme", "report",
        "results", "rules", "run_command", "settings", "settings_rbm", "speed", "style", "table_figures",
        "table_views", "variance_views",
    )
}  # fmt: skip


class Provenance(NamedTuple):
    """The columns of a result row that say where it was made."""

    device: str
    threads: int
    code_version: str
    torch_version: str


def provenance(device: str = "cpu") -> Provenance:
    """Of this process, computing on `device` ("cpu" or "cuda")."""
    import torch

    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    return Provenance(f"{device} ({name})", torch.get_num_threads(), code_version(), torch.__version__)


@cache
def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name as the system gives it, with family and model, as names may leave out generations."""
    try:
        lines = cpuinfo.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    first = {
        key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon
    }
    if "model name" not in first:
        return platform.processor() or platform.machine()
    numbers = [f"{key.split()[-1]} {first[key]}" for key in ("cpu family", "model") if key in first]
    return ", ".join([first["model name"], *numbers])


@cache
def code_version(package: Path = PACKAGE) -> str:
    """The git commit, "+dirty" if package or notebooks differ from it; the release outside a clone."""
    root = package.parent
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return __version__
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", package.name, "notebooks")
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{commit}+dirty" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@cache
def code_hash(package: Path = PACKAGE, of: tuple[str, ...] = ()) -> str:
    """Eight hex digits that change when code that can move a number changes: every module but those that
    arrange and show (their part in a result is its settings), without comments, docstrings and layout.
    With `of`, say ("training/belief_nets.py",), those modules and what they import, however indirectly.
    """
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    digest = hashlib.sha256()
    for name in sorted(imported(package, *of) if of else files):
        if name not in AROUND:
            digest.update(f"{name}\n{meaning((package / name).read_text())}\n".encode())
    return digest.hexdigest()[:8]


def imported(package: Path, *names: str) -> set[str]:
    """Modules of the package and all modules of the package that they import, wherever in their source.

    Errors: `FileNotFoundError` if there is no such module.
    """
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        found |= waiting
        waiting = {other for name in waiting for other in _imports(package, name)} - found
    return found


def _imports(package: Path, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((package / name).read_text())):
        match node:
            case ast.Import(names=aliases):
                modules = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                modules = [module, *(f"{module}.{alias.name}" for alias in aliases)]
            case _:
                continue
        for module in modules:
            first, *inside = module.split(".")
            stem = "/".join(inside)
            if first == package.name:
                candidates = (f"{stem}.py", f"{stem}/__init__.py".lstrip("/"))
                yield from (path for path in candidates if (package / path).is_file())


def meaning(source: str) -> str:
    """Python source reduced to what it does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node) is not None:
                    node.body = node.body[1:]
    return ast.dump(tree)


def notebook_hash(path: str | Path) -> str:
    """Eight hex digits of what a notebook runs: the sources of its code cells, without outputs and prose."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:8]
