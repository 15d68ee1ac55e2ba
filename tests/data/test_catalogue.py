"""The entries of the catalogue are complete and agree with the formats."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from nvil_repro.data.catalogue import SOURCES
from nvil_repro.data.content import Source


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_an_entry_is_complete(source: Source) -> None:
    assert source.title
    assert source.terms
    names = [file.name for file in source.files]
    assert len(set(names)) == len(names)
    for file in source.files:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 0
        assert not file.path.startswith(("/", "."))
    assert len({urlsplit(mirror).hostname for mirror in source.mirrors}) >= 3, "several public mirrors"
    assert all(("{name}" in mirror) == (source.archive is None) for mirror in source.mirrors)
    assert all("==" in package.requirement for package in source.packages)


def test_sizes_are_those_of_the_formats() -> None:
    idx = {file.name: file.size for file in SOURCES["mnist"].files}
    assert idx["train-images-idx3-ubyte"] == 16 + 60_000 * 784
    assert idx["t10k-labels-idx1-ubyte"] == 8 + 10_000
    amat = [file.size for file in SOURCES["binarized-mnist"].files]
    assert amat == [cases * 784 * 2 for cases in (50_000, 10_000, 10_000)]
