"""What takes long to build is built once, and nothing damaged is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvil_repro.data import corpus_cache
from nvil_repro.data.corpus_cache import Built, cached
from nvil_repro.data.counts import from_dense

BUILT = Built(
    from_dense(np.array([[0, 300, 1], [0, 0, 0], [2, 0, 0]])),
    ("oil", "gold", "żyto"),
    {"dataset": "toy", "misfits": 3},
)


@pytest.fixture
def builds() -> list[int]:
    return []


def toy(builds: list[int], **settings: int) -> Built:
    def build() -> Built:
        builds.append(1)
        return BUILT

    return cached("toy", {"words": 3, **settings}, build)


def test_a_corpus_comes_back_as_it_was_built(builds: list[int]) -> None:
    toy(builds)
    again = toy(builds)
    assert len(builds) == 1
    assert (again.words, again.facts) == (BUILT.words, BUILT.facts)
    for stored, made in zip(again.counts[:3], BUILT.counts[:3], strict=True):
        np.testing.assert_array_equal(stored, made)
        assert stored.dtype == made.dtype
    assert again.counts.vocabulary == 3


def test_other_settings_are_another_corpus(builds: list[int]) -> None:
    toy(builds)
    toy(builds, words=4)
    assert len(builds) == 2


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty", "not ours"])
def test_a_damaged_file_is_built_again(
    builds: list[int], cache: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(builds)
    (kept,) = (cache / "corpora").iterdir()
    whole = kept.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"gold")] ^= 1
    kept.write_bytes(
        {"flipped": bytes(flipped), "cut": whole[:-100], "empty": b"", "not ours": b"text"}[harm]
    )
    toy(builds)
    assert "is not usable" in capsys.readouterr().err
    assert kept.read_bytes() == whole
    assert len(builds) == 2


def test_a_failed_build_leaves_nothing(cache: Path) -> None:
    def build() -> Built:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cached("toy", {}, build)
    assert not (cache / "corpora").exists()


def test_a_cache_that_cannot_be_written_does_no_harm(
    builds: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corpus_cache, "write_atomic", full)
    assert toy(builds) == BUILT
    assert "toy is not kept for the next time" in capsys.readouterr().err
