"""Finding RCV1-v2's token files: on this machine, then on the web; read as streams, never held whole."""

from __future__ import annotations

import os
from pathlib import Path

from nvil_repro.data import local, web
from nvil_repro.data.catalogue import RCV1
from nvil_repro.data.content import Attempt, CorruptDataError, DataFile, DataUnavailableError
from nvil_repro.files import write_atomic

DOCUMENTS = (23_149, 199_328, 199_339, 199_576, 183_022)  # of each file, in the order of `RCV1.files`
IDS = (2286, 810_596)  # the first and the last id of RCV1-v2


def token_files() -> list[Path]:
    """Where the five files are, in their order; what the web serves is kept in the per-user cache.

    Only the size of a download can be checked here, as no hash is published.
    Errors: `DataUnavailableError` with every place tried and why it failed.
    """
    found: dict[DataFile, Path] = {}
    attempts = [] if os.environ.get("NVIL_REPRO_DATA") else [Attempt("folder", "NVIL_REPRO_DATA is not set")]
    for place in local.places():
        for file in RCV1.files:
            if file not in found and (path := place.copy_of(file)):
                found[file] = path
        if missing := [file.path for file in RCV1.files if file not in found]:
            attempts.append(Attempt(str(place), f"no {', '.join(missing)} in it"))
    if len(found) < len(RCV1.files):
        try:
            with local.fetching(RCV1):
                found |= _fetch([file for file in RCV1.files if file not in found], attempts)
        except OSError as error:
            attempts.append(Attempt(str(local.cache()), f"cannot keep what is fetched ({error})"))
    if len(found) < len(RCV1.files):
        raise DataUnavailableError(RCV1, attempts)
    return [found[file] for file in RCV1.files]


def _fetch(files: list[DataFile], attempts: list[Attempt]) -> dict[DataFile, Path]:
    """Download into the cache what another process has not put there meanwhile; a mirror that fails is given up."""
    found = {file: path for file in files if (path := local.cache().copy_of(file))}
    if len(found) == len(files):
        return found
    for mirror in web.reachable(RCV1.mirrors, attempts):
        for file in (file for file in files if file not in found):
            url = mirror.replace("{name}", file.name)
            try:
                content = web.download(url)
                if len(content) != file.size:
                    raise CorruptDataError(f"it has {len(content):,} bytes, expected {file.size:,}")
            except (ImportError, OSError, ValueError) as error:
                attempts.append(Attempt(f"web {url}", str(error)))
                break
            found[file] = write_atomic(local.cache().root / file.path, content)
    return found
