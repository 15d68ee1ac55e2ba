"""idx and amat files of a few bytes, whole and altered."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from nvil_repro.data.formats import FormatError, read_amat, read_idx, write_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
IDX = struct.pack(">IIII", 2051, 2, 3, 4) + IMAGES.tobytes()
BITS = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
AMAT = b"0 1 1\n1 0 0\n"


def test_idx_is_read_and_written_as_published() -> None:
    np.testing.assert_array_equal(read_idx(IDX, "images"), IMAGES)
    assert write_idx(IMAGES) == IDX
    labels = struct.pack(">II", 2049, 3) + b"\5\0\4"
    assert read_idx(labels, "labels").tolist() == [5, 0, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IDX[:-1], "39 bytes where 2 x 3 x 4 items make 40: truncated"),
        (IDX + b"x", "41 bytes where"),
        (IDX[:10], "truncated, 10 bytes where the header alone has 16"),
        (b"\0\0\x0d\x01" + IDX[4:], "starts with 00000d01"),
        (b"PK\3\4" + IDX[4:], "starts with 504b0304"),
        (b"", "starts with"),
    ],
)
def test_an_altered_idx_file_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=f"t10k: {message}"):
        read_idx(content, "t10k")


def test_amat_is_read_as_published() -> None:
    bits = read_amat(AMAT, 3, "train")
    assert bits.dtype == np.uint8
    np.testing.assert_array_equal(bits, BITS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (AMAT[:-2], "10 bytes are not whole lines of 6"),
        (b"", "0 bytes"),
        (b"0 1 1\n1 2 0\n", "line 2 is not 3 digits"),
        (b"0 1 1\n1 0,0\n", "line 2 is not 3 digits"),
        (b"0 1 1 1 0 0\n", "line 1 is not 3 digits"),
    ],
)
def test_an_altered_amat_file_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=f"valid: {message}"):
        read_amat(content, 3, "valid")
