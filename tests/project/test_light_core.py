"""The core imports where only torch and numpy are installed; what else the package imports is declared."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
# The room and the command that need more by nature, and the engine that is used only where numba is there.
NOT_CORE = ["nvil_repro.reproduction", "nvil_repro.cli", "nvil_repro.kernels"]
WITH_TORCH = ["filelock", "fsspec", "functorch", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools"]
WITH_TORCH += ["cuda", "nvidia", "sympy", "torchgen", "triton", "typing_extensions"]

IMPORT_ALL = """
import importlib, json, pkgutil, sys
folder, package, skipped, present = json.loads(sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in present and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, folder)
path = importlib.import_module(package).__path__
imported, failed = [], {}
for module in pkgutil.walk_packages(path, package + ".", onerror=lambda name: None):
    if not any((module.name + ".").startswith(name + ".") for name in skipped):
        try:
            importlib.import_module(module.name)
            imported.append(module.name)
        except ImportError as error:
            failed[module.name] = str(error)
print(json.dumps([imported, failed]))
"""


def import_all(folder: Path, package: str, skipped: list[str]) -> tuple[list[str], dict[str, str]]:
    """Import all of `package` with torch and numpy alone: the modules that do, and why others do not."""
    settings = json.dumps([str(folder), package, skipped, [package, "torch", "numpy", *WITH_TORCH]])
    command = [sys.executable, "-c", IMPORT_ALL, settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    imported, failed = json.loads(done.stdout)
    return imported, failed


def test_the_core_imports_with_torch_and_numpy_alone() -> None:
    imported, failed = import_all(ROOT, "nvil_repro", NOT_CORE)
    assert failed == {}
    rooms = {"data", "models", "learning", "training", "evaluation"}
    assert rooms <= {name.split(".")[1] for name in imported if name.count(".") > 1}


def test_a_heavier_import_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").touch()
    (tmp_path / "heavy" / "light.py").write_text("import json, numpy, torch\n")
    (tmp_path / "heavy" / "loader.py").write_text("import safetensors\n")
    imported, failed = import_all(tmp_path, "heavy", [])
    assert (imported, failed) == (["heavy.light"], {"heavy.loader": "No module named 'safetensors'"})


def imported_names(source: str) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def undeclared(sources: list[str]) -> set[str]:
    """Names imported in `sources` that neither Python, the package nor its declared dependencies provide."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    providers = metadata.packages_distributions()
    names = set().union(*map(imported_names, sources)) - set(sys.stdlib_module_names) - {"nvil_repro"}
    return {
        name for name in names if declared.isdisjoint(canonicalize_name(by) for by in providers.get(name, []))
    }


def test_every_import_of_the_package_is_declared() -> None:
    sources = [path.read_text() for path in (ROOT / "nvil_repro").rglob("*.py")]
    assert undeclared(sources) == set()
    assert undeclared([*sources, "def f():\n    from markupsafe import escape\n"]) == {"markupsafe"}
