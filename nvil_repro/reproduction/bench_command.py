"""`nvil-repro bench`: run the project's benchmarks, which live beside the package."""

from __future__ import annotations

import argparse
import importlib
import sys

from nvil_repro.reproduction.project import project_root

PARTS = ("peers", "figure", "scaling", "networks", "sampling", "estimates", "documents", "rcv1", "rbm", "gpu")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `nvil-repro bench`."""
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; all of them if none is named"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def main(args: argparse.Namespace) -> int:
    """Measure against peers and floors; the benchmark's exit status. Errors: `ValueError` for an unknown part."""
    root = project_root()
    if not (root / "benchmarks" / "update.py").is_file():
        raise FileNotFoundError(
            f"{root}/benchmarks/update.py is missing: benchmarks run from a checkout of the project"
        )
    sys.path.insert(0, str(root))
    return int(importlib.import_module("benchmarks.update").main(json=args.json, parts=args.parts))
