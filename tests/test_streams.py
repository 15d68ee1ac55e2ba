"""Every random number is a function of (seed, name, index), today and on every machine."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.streams import normals, stream, uniforms


def test_equal_names_give_equal_numbers_and_nothing_else_does() -> None:
    first = uniforms(3, "h1", 7, (4, 5))
    assert torch.equal(first, uniforms(3, "h1", 7, (4, 5)))
    for other in ((4, "h1", 7), (3, "h2", 7), (3, "h1", 8)):
        assert not torch.isin(first, uniforms(*other, (4, 5))).any()


def test_numbers_are_pinned() -> None:
    """A change of these moves every published result."""
    assert stream(0, "h1").integers(0, 1000, 4).tolist() == [551, 736, 365, 304]


def test_uniforms_and_normals_have_their_range_and_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        u, z = uniforms(0, "u", 0, (1000,), dtype), normals(0, "z", 0, (1000,), dtype)
        assert u.dtype == z.dtype == dtype
        assert 0 <= u.min() < 0.01 < 0.99 < u.max() < 1
        assert z.min() < -2 < 2 < z.max()


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_positions_are_refused(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match=f"seed={seed}, index={index}"):
        stream(seed, "x", index)
