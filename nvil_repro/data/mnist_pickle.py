"""MNIST from a pickle in a package, read by an unpickler that makes numpy arrays and nothing else."""

from __future__ import annotations

import gzip
import io
import pickle
from typing import Any

import numpy as np

from nvil_repro.data.formats import Bytes, FormatError, write_idx

# numpy 2 moved `_reconstruct`; every array knows where its own numpy keeps it.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise FormatError(f"a pickle of arrays may not name {module}.{name}; nothing of it was run")
        return _ALLOWED[module, name]


def read_array_pickle(gzipped: bytes) -> Any:
    """The plain containers of numpy arrays in a gzipped pickle, Python 2's included.

    Errors: `FormatError` if it names anything but numpy arrays, or is damaged.
    """
    try:
        with gzip.open(io.BytesIO(gzipped)) as stream:
            return _ArraysOnly(stream, encoding="latin1").load()
    except FormatError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise FormatError(f"not a gzipped pickle of arrays ({type(error).__name__}: {error})") from error


def idx_files(gzipped: bytes) -> dict[str, bytes]:
    """MNIST's four idx files, by name, from three pairs of images/256, float32 [N, 784], and labels.

    The pairs are 50,000 and 10,000 training cases and 10,000 test cases, in idx order. Errors: `FormatError`.
    """
    pairs = read_array_pickle(gzipped)
    try:
        (train, train_labels), (valid, valid_labels), (test, test_labels) = pairs
        arrays = {
            "train-images-idx3-ubyte": np.concatenate([_grey(train), _grey(valid)]),
            "train-labels-idx1-ubyte": np.concatenate([train_labels, valid_labels]).astype(np.uint8),
            "t10k-images-idx3-ubyte": _grey(test),
            "t10k-labels-idx1-ubyte": test_labels.astype(np.uint8),
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            f"expected three pairs of images, multiples of 1/256, and labels ({error})"
        ) from error
    return {name: write_idx(array) for name, array in arrays.items()}


def _grey(images: np.ndarray) -> Bytes:
    """Images [N, 28, 28] of bytes from intensities byte/256."""
    scaled = np.multiply(images, 256, dtype=np.float32)
    grey = scaled.astype(np.uint8)
    if not np.array_equal(grey, scaled):
        raise ValueError("other intensities")
    return grey.reshape(-1, 28, 28)
