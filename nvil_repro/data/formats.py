"""The file formats of MNIST and its fixed binarisation: idx and amat."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_UNSIGNED_BYTE = 0x08


class FormatError(ValueError):
    """A file that is not in the format its name promises."""


def read_idx(content: bytes, name: str) -> Bytes:
    """The array of bytes in an idx file (two zero bytes, a type, a rank, big-endian sizes, then the data).

    Errors: `FormatError` naming the file, with what was found and expected.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise FormatError(f"{name}: starts with {content[:4].hex()}; an idx file of bytes starts with 000008")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise FormatError(f"{name}: truncated, {len(content):,} bytes where the header alone has {header:,}")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        sizes = " x ".join(map(str, shape))
        raise FormatError(f"{name}: {len(content):,} bytes where {sizes} items make {expected:,}: truncated?")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def write_idx(array: Bytes) -> bytes:
    """The idx file of an array of bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, _UNSIGNED_BYTE, array.ndim, *array.shape) + array.tobytes()


def read_amat(content: bytes, columns: int, name: str) -> Bytes:
    """The bits [N, columns] in lines of `columns` digits, 0 or 1, with single spaces between them.

    Errors: `FormatError` naming the file and the first bad line.
    """
    width = 2 * columns
    if not content or len(content) % width:
        raise FormatError(
            f"{name}: {len(content):,} bytes are not whole lines of {width:,} bytes: truncated?"
        )
    # A digit and the separator behind it are one 16-bit word; "0 " and "0\n" are the words of a zero.
    zero = np.full(columns, 0x2030, "<u2")
    zero[-1] = 0x0A30
    words = np.frombuffer(content, "<u2").reshape(-1, columns) ^ zero
    if words.max() > 1:
        line = int((words > 1).any(axis=1).argmax()) + 1
        raise FormatError(f"{name}: line {line:,} is not {columns} digits 0 or 1, single spaces between")
    return words.astype(np.uint8)
