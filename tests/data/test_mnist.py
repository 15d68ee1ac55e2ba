"""The two binarisations and the two splits, on files of six 28 x 28 images in the published formats."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from nvil_repro.data import catalogue, mnist
from nvil_repro.data.content import DataFile, DataUnavailableError, Source
from nvil_repro.data.formats import write_idx
from nvil_repro.data.mnist import MnistSplits, binarise, held_out, load_mnist, load_mnist_images

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (8, 28, 28), dtype=np.uint8)
LABELS = np.arange(8, dtype=np.uint8)
BITS = RANDOM.integers(0, 2, (8, 784), dtype=np.uint8)
IDX = [write_idx(part) for part in (GREY[:6], LABELS[:6], GREY[6:], LABELS[6:])]
AMAT = [
    b"".join(b" ".join(b"01"[bit : bit + 1] for bit in row) + b"\n" for row in part)
    for part in (BITS[:4], BITS[4:6], BITS[6:])
]


def publish(source: Source, contents: list[bytes], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the contents into `folder` and their hashes into the catalogue."""
    files = []
    for file, content in zip(source.files, contents, strict=True):
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(gzip.compress(content))
        files.append(DataFile(file.path, hashlib.sha256(content).hexdigest(), len(content)))
    small = source._replace(files=tuple(files), mirrors=(), packages=())
    monkeypatch.setattr(
        catalogue, {"mnist": "MNIST", "binarized-mnist": "BINARIZED_MNIST"}[source.name], small
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    publish(catalogue.MNIST, IDX, tmp_path / "data", monkeypatch)
    publish(catalogue.BINARIZED_MNIST, AMAT, tmp_path / "data", monkeypatch)
    monkeypatch.setenv("NVIL_REPRO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "VALIDATION_CASES", 2)
    return tmp_path / "data"


def without_the_fixed_binarisation(folder: Path) -> None:
    for path in (folder / "binarized_mnist").iterdir():
        path.unlink()


def test_the_fixed_binarisation_in_the_usual_split() -> None:
    splits = load_mnist(split="standard", binarisation="fixed")
    assert splits.dataset == "mnist-fixed"
    for part, bits in zip(splits[:3], (BITS[:4], BITS[4:6], BITS[6:]), strict=True):
        assert part.dtype == torch.uint8
        np.testing.assert_array_equal(part, bits)


@pytest.mark.parametrize("binarisation", ["fixed", "pinned"])
def test_the_papers_split_holds_out_random_training_cases(binarisation: mnist.Binarisation) -> None:
    standard = load_mnist(split="standard", binarisation=binarisation)
    cases = [tuple(row) for row in torch.cat([standard.train, standard.valid]).tolist()]
    held_out = set()
    for seed in range(20):
        splits = load_mnist(seed=seed, binarisation=binarisation)
        assert torch.equal(splits.test, standard.test)
        train, valid = ([tuple(row) for row in part.tolist()] for part in (splits.train, splits.valid))
        assert (len(train), len(valid)) == (4, 2)
        assert sorted(train + valid) == sorted(cases)
        assert train == [case for case in cases if case not in valid], "in their own order"
        held_out.add(frozenset(valid))
    assert len(held_out) > 5
    assert torch.equal(load_mnist(seed=7).valid, load_mnist(seed=7).valid)


def test_auto_takes_the_fixed_binarisation_if_it_can_be_had(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_mnist().dataset == "mnist-fixed"
    assert capsys.readouterr().err == ""
    without_the_fixed_binarisation(folder)
    assert load_mnist().dataset == "mnist-binarised-seed0"
    assert (
        "the fixed binarisation of MNIST cannot be had; using mnist-binarised-seed0"
        in capsys.readouterr().err
    )
    assert torch.equal(load_mnist().train, load_mnist(binarisation="pinned").train)


def test_a_choice_is_never_overruled(folder: Path) -> None:
    assert load_mnist(binarisation="pinned").dataset == "mnist-binarised-seed0"
    without_the_fixed_binarisation(folder)
    with pytest.raises(DataUnavailableError, match="binarized-mnist"):
        load_mnist(binarisation="fixed")


def test_the_pinned_binarisation_does_not_depend_on_the_split(folder: Path) -> None:
    splits = load_mnist(split="standard", binarisation="pinned")
    expected = binarise(GREY.reshape(8, 784))
    assert [len(part) for part in splits[:3]] == [5, 1, 2]
    np.testing.assert_array_equal(torch.cat(splits[:3]), expected)


def test_the_pinned_bits_are_pinned() -> None:
    bits = binarise(np.arange(256, dtype=np.uint8).repeat(40))
    assert hashlib.sha256(bits.tobytes()).hexdigest()[:16] == "5a7a874f5c71af31"
    assert not np.array_equal(binarise(bits * 128, seed=1), binarise(bits * 128))


def test_a_pixel_is_one_with_probability_grey_over_255(monkeypatch: pytest.MonkeyPatch) -> None:
    class EveryWord:
        """A bit generator that yields every 16-bit word once, four a draw."""

        def __init__(self, seed: int) -> None:
            self.words = np.arange(65536, dtype="<u2").view("<u8")

        def random_raw(self, count: int) -> np.ndarray:
            return self.words[:count]

    monkeypatch.setattr(np.random, "PCG64", EveryWord)
    for grey in (0, 1, 127, 254, 255):
        rate = binarise(np.full(65536, grey, np.uint8)).mean()
        assert 0 <= rate - grey / 255 < 2**-16


def test_binarising_in_pieces_changes_nothing() -> None:
    grey = np.random.default_rng(1).integers(0, 256, 2**22 + 1001, dtype=np.uint8)
    np.testing.assert_array_equal(binarise(grey[: 2**22 - 8]), binarise(grey)[: 2**22 - 8])


def test_grey_images_with_labels() -> None:
    images = load_mnist_images()
    np.testing.assert_array_equal(images.train, GREY[:6].reshape(6, 784))
    np.testing.assert_array_equal(images.test, GREY[6:].reshape(2, 784))
    assert images.train_labels.tolist() + images.test_labels.tolist() == list(range(8))


def test_an_altered_file_is_refused_although_its_format_is_right(folder: Path) -> None:
    path = folder / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(IDX[0][:-1] + bytes([IDX[0][-1] ^ 1])))
    with pytest.raises(DataUnavailableError, match=f"{path} is not usable: .*sha256"):
        load_mnist_images()


def test_unknown_choices_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown split 'paper'; choose one of nvil, standard"):
        load_mnist(split="paper")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown binarisation 'random'; choose one of fixed, pinned, auto"):
        load_mnist(binarisation="random")  # type: ignore[arg-type]


def test_held_out_cases_are_a_fixed_random_subset() -> None:
    numbered = torch.arange(40)[:, None].expand(40, 30)
    splits = MnistSplits(numbered, numbered, numbered, "toy")
    some = held_out(splits, 10)[:, 0].tolist()
    assert len(set(some)) == 10
    assert some == held_out(splits, 10)[:, 0].tolist()
    assert some != list(range(10))
    assert torch.equal(held_out(splits, 40), numbered)
    with pytest.raises(ValueError, match="test_cases=41: toy has 40 test cases"):
        held_out(splits, 41)
