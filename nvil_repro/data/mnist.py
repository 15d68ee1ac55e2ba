"""MNIST as bits: the fixed binarisation of Salakhutdinov & Murray 2008, or our own, its seed pinned."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data import catalogue
from nvil_repro.data.content import DataUnavailableError, notice
from nvil_repro.data.formats import Bytes, read_amat, read_idx
from nvil_repro.data.sources import obtain
from nvil_repro.streams import stream

Split = Literal["nvil", "standard"]
Binarisation = Literal["fixed", "pinned", "auto"]

VALIDATION_CASES = 100
BINARISATION_SEED = 0
PIXELS = 28 * 28


class MnistSplits(NamedTuple):
    """Bits, uint8 0/1: train [N, 784], valid, test; `dataset` labels the binarisation in every result row."""

    train: Tensor
    valid: Tensor
    test: Tensor
    dataset: str


class MnistImages(NamedTuple):
    """Grey images, uint8 [N, 784] of 0..255, with labels, uint8 [N] of 0..9, in MNIST's own order."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def load_mnist(*, split: Split = "nvil", seed: int = 0, binarisation: Binarisation = "auto") -> MnistSplits:
    """Binary MNIST, from the first source that has it.

    split: "nvil", the paper's: 60,000 training images less 100 random validation cases, which `seed` picks;
        "standard": 50,000 / 10,000 / 10,000.
    binarisation: "fixed" (dataset "mnist-fixed"); "pinned", pixels drawn once with Bernoulli(grey/255)
        (dataset "mnist-binarised-seed0"); "auto", fixed where it can be had, else pinned with a notice.
    Errors: `ValueError` for an unknown choice, `DataUnavailableError` naming every source tried.
    """
    loaders = {"fixed": _fixed, "pinned": _pinned, "auto": _fixed_or_pinned}
    if split not in get_args(Split):
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(get_args(Split))}")
    if binarisation not in loaders:
        raise ValueError(f"unknown binarisation {binarisation!r}; choose one of {', '.join(loaders)}")
    parts = loaders[binarisation]()
    return parts if split == "standard" else _hold_out(parts, seed)


def held_out(data: MnistSplits, cases: int) -> Tensor:
    """Test cases [N, D]: all of them, or a random `cases` by a pinned seed.

    Random, because the fixed binarisation's file is in no random order: its first 1,000 cases are harder by 50 nats.
    Errors: `ValueError` if there are not so many.
    """
    if cases > len(data.test):
        raise ValueError(f"test_cases={cases}: {data.dataset} has {len(data.test):,} test cases")
    order = stream(0, "held-out cases").permutation(len(data.test)) if cases < len(data.test) else slice(None)
    return data.test[order][:cases]


def load_mnist_images() -> MnistImages:
    """Grey MNIST with its labels. Errors: `DataUnavailableError` naming every source tried."""
    return MnistImages(*(torch.from_numpy(_idx(file.name).copy()) for file in catalogue.MNIST.files))


def binarise(grey: Bytes, seed: int = BINARISATION_SEED) -> Bytes:
    """Bits of the shape of `grey`, each 1 with probability grey/255, the same on every machine for a seed.

    Pixel k is 1 if 255 u < 65536 grey, where u is the k-th little-endian 16-bit word of PCG64(seed)'s raw
    output (which numpy keeps for ever, as it does not its distributions). Exact to 2^-16; sure for 0 and 255.
    """
    thresholds = (-(-65536 * np.arange(256) // 255)).astype(np.uint32)
    generator = np.random.PCG64(seed)
    bits = np.empty(grey.size, np.uint8)
    for start in range(0, grey.size, 2**22):
        pixels = grey.reshape(-1)[start : start + 2**22]
        words = generator.random_raw(-(-pixels.size // 4)).astype("<u8").view("<u2")
        bits[start : start + 2**22] = words[: pixels.size] < thresholds[pixels]
    return bits.reshape(grey.shape)


def _fixed_or_pinned() -> MnistSplits:
    try:
        return _fixed()
    except DataUnavailableError:
        parts = _pinned()
    notice(f"the fixed binarisation of MNIST cannot be had; using {parts.dataset}, MNIST binarised here")
    return parts


def _fixed() -> MnistSplits:
    files = obtain(catalogue.BINARIZED_MNIST)
    bits = [torch.from_numpy(read_amat(item.content, PIXELS, name)) for name, item in files.items()]
    return MnistSplits(bits[0], bits[1], bits[2], "mnist-fixed")


def _pinned() -> MnistSplits:
    grey = [_idx("train-images-idx3-ubyte"), _idx("t10k-images-idx3-ubyte")]
    bits = torch.from_numpy(binarise(np.concatenate(grey)))
    valid, test = len(grey[0]) * 5 // 6, len(grey[0])
    label = f"mnist-binarised-seed{BINARISATION_SEED}"
    return MnistSplits(bits[:valid], bits[valid:test], bits[test:], label)


def _hold_out(parts: MnistSplits, seed: int) -> MnistSplits:
    cases = torch.cat([parts.train, parts.valid])
    held_out = np.zeros(len(cases), bool)
    held_out[stream(seed, "validation cases").permutation(len(cases))[:VALIDATION_CASES]] = True
    mask = torch.from_numpy(held_out)
    return MnistSplits(cases[~mask], cases[mask], parts.test, parts.dataset)


def _idx(name: str) -> Bytes:
    """One idx file of MNIST; images flattened to [N, 784]."""
    array = read_idx(obtain(catalogue.MNIST, [name])[name].content, name)
    return array.reshape(len(array), -1) if array.ndim > 1 else array
