"""`nvil-repro data`: list the data sets, fetch them, verify what is stored."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nvil_repro.data import local
from nvil_repro.data.catalogue import SOURCES
from nvil_repro.data.content import DataUnavailableError, Source, open_archive, unpack
from nvil_repro.data.sources import obtain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `nvil-repro data`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | fetch | verify")
    actions.add_parser("list", help="what each data set is, its size, its terms, and where it is now")
    for action in (
        actions.add_parser("fetch", help="get data sets into the cache, saying where each came from"),
        actions.add_parser("verify", help="hash the stored files again"),
    ):
        action.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(SOURCES)}; all by default")


def main(args: argparse.Namespace) -> int:
    """Run the chosen action; status 0, 1 for data that cannot be had or is bad, 2 for an unknown name.

    Fetching everything forgives a data set that has a stand-in; fetching it by name does not.
    """
    asked = getattr(args, "names", [])
    names = asked or list(SOURCES)
    if unknown := [name for name in names if name not in SOURCES]:
        message = f"unknown data set {', '.join(unknown)}; choose from {', '.join(SOURCES)}"
        hint = "; rcv1 has no published hash: the run that asks for it fetches it" * ("rcv1" in unknown)
        return _fail(f"nvil-repro data: {message}{hint}", status=2)
    sources = [SOURCES[name] for name in names]
    if args.action == "fetch":
        return max([_fetch(source, forgiving=not asked) for source in sources])
    return max([_list(source) if args.action == "list" else _verify(source) for source in sources])


def _list(source: Source) -> int:
    megabytes = sum(file.size for file in source.files) / 1e6
    print(f"{source.name}: {source.title}")
    print(f"    {len(source.files)} files, {megabytes:.0f} MB uncompressed; {source.terms}; {_where(source)}")
    return 0


def _where(source: Source) -> str:
    places = local.places()
    homes = Counter(
        next(
            (f"in {place}" for place in places if place.copy_of(file) or place.archive_of(source)), "missing"
        )
        for file in source.files
    )
    if len(homes) == 1:
        return next(iter(homes))
    return ", ".join(f"{count} {home}" for home, count in homes.items())


def _fetch(source: Source, forgiving: bool) -> int:
    try:
        found = obtain(source)
    except DataUnavailableError as error:
        status = _fail(str(error))
        if source.stand_in and forgiving:
            print(f"{source.name}: cannot be had; runs use {source.stand_in}")
            return 0
        return status
    for origin, count in Counter(item.origin for item in found.values()).items():
        print(f"{source.name}: {count} of {len(source.files)} files verified, from {origin}")
    return 0


def _verify(source: Source) -> int:
    """Check every stored copy, in the folder and in the cache; what is absent is said, and is no failure."""
    status, places = 0, local.places()
    archives = [path for place in places if (path := place.archive_of(source))]
    for file in source.files:
        copies = [path for place in places if (path := place.copy_of(file))]
        if not copies and not archives:
            print(f"absent   {file.path}")
        for path in copies:
            status |= _check(path, partial(unpack, file=file))
    for path in archives:
        status |= _check(path, partial(open_archive, source))
    return status


def _check(path: Path, read: Callable[[bytes], object]) -> int:
    try:
        read(path.read_bytes())
    except (OSError, ValueError) as error:
        return _fail(f"BAD      {path}: {error}")
    print(f"good     {path}")
    return 0


def _fail(message: str, status: int = 1) -> int:
    print(message, file=sys.stderr)
    return status
