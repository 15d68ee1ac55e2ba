"""The pickle of Python 2 becomes idx files; a pickle of anything else is refused."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from nvil_repro.data.formats import FormatError, read_idx
from nvil_repro.data.mnist_pickle import idx_files, read_array_pickle

GREY = np.arange(3 * 784).reshape(3, 784) % 256


def python_2_pickle(arrays: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """What Python 2 and numpy 1 would have written: protocol 2, the old module, byte strings for the data."""

    def array(values: np.ndarray) -> bytes:
        kind, raw = values.dtype.str[1:].encode(), values.tobytes()
        shape = b"(" + b"".join(b"J" + np.int32(size).tobytes() for size in values.shape) + b"t"
        dtype = (
            b"cnumpy\ndtype\n(U"
            + bytes([len(kind)])
            + kind
            + b"K\0K\1tR(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        )
        make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR"
        return make + b"(K\1" + shape + dtype + b"\x89T" + np.int32(len(raw)).tobytes() + raw + b"tb"

    pairs = b"".join(b"(" + array(images) + array(labels) + b"t" for images, labels in arrays)
    return gzip.compress(b"\x80\2(" + pairs + b"t.")


def part(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    return (GREY[rows] / 256).astype(np.float32), np.arange(3)[rows].astype(np.int64)


def test_the_pickle_becomes_the_idx_files_in_order() -> None:
    files = idx_files(python_2_pickle([part(slice(0, 1)), part(slice(1, 2)), part(slice(2, 3))]))
    arrays = {name: read_idx(content, name) for name, content in files.items()}
    np.testing.assert_array_equal(arrays["train-images-idx3-ubyte"].reshape(2, 784), GREY[:2])
    np.testing.assert_array_equal(arrays["t10k-images-idx3-ubyte"].reshape(1, 784), GREY[2:])
    assert arrays["train-labels-idx1-ubyte"].tolist() == [0, 1]
    assert arrays["t10k-labels-idx1-ubyte"].tolist() == [2]


def test_a_pickle_of_todays_numpy_is_read_too() -> None:
    np.testing.assert_array_equal(read_array_pickle(gzip.compress(pickle.dumps(GREY, protocol=4))), GREY)


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_names_a_function_is_refused_unrun(tmp_path: Path) -> None:
    evil = pickle.dumps(Touch(tmp_path / "owned"), protocol=2)
    with pytest.raises(FormatError, match=r"may not name \w+\.system"):
        read_array_pickle(gzip.compress(evil))
    assert not (tmp_path / "owned").exists()
    pickle.loads(evil)  # the same bytes do act on an ordinary unpickler
    assert (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "damaged", [b"", b"not gzip", gzip.compress(b"not a pickle"), gzip.compress(b"\x80\2(")]
)
def test_a_damaged_pickle_is_refused(damaged: bytes) -> None:
    with pytest.raises(FormatError, match="not a gzipped pickle of arrays"):
        read_array_pickle(damaged)


def test_other_shapes_and_intensities_are_refused() -> None:
    with pytest.raises(FormatError, match="three pairs"):
        idx_files(gzip.compress(pickle.dumps(((None, None),) * 3, protocol=2)))
    with pytest.raises(FormatError, match="three pairs"):
        idx_files(gzip.compress(pickle.dumps((1, 2), protocol=2)))
    images, labels = part(slice(0, 1))
    with pytest.raises(FormatError, match="other intensities"):
        idx_files(python_2_pickle([(images + np.float32(0.001), labels)] * 3))
