"""Uniforms by position: known words, the same from compiled code at any position, even over their bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.counters import counter_key, counter_uniforms


def test_without_a_second_key_the_words_are_those_of_splitmix64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published for seed 1234567, whose first output belongs to the counter one step on."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    start = (1234567 + 0x9E3779B97F4A7C15) % 2**64
    monkeypatch.setattr("nvil_repro.counters.counter_key", lambda *name: np.array([start, 0], np.uint64))
    found = counter_uniforms(0, "any", 0, (3, 2), torch.float64)
    expected = [[(word % 2**32 >> 8) / 2**24, (word >> 40) / 2**24] for word in known]
    assert found.tolist() == expected


def test_compiled_code_draws_the_same_from_any_position_on() -> None:
    pytest.importorskip("numba")
    from nvil_repro.kernels.counters import fill_uniforms, words
    from nvil_repro.kernels.jit import entry

    @entry
    def fill(key, position, out, words):  # type: ignore[no-untyped-def]
        fill_uniforms(key, position, out, words)

    whole = counter_uniforms(3, "chains", 8, (50,), torch.float64)
    key = counter_key(3, "chains", 8)
    for dtype in (np.float32, np.float64):
        for position, count in ((0, 50), (0, 7), (1, 7), (6, 8), (13, 1), (49, 1)):
            out = np.empty(count, dtype)
            fill(key, position, out, words(count))
            assert out.tolist() == whole[position : position + count].tolist()


@pytest.mark.parametrize(
    ("offset", "shape"), [(0, (50,)), (7, (2, 5)), (8, (1,)), (13, (4,)), (6, (8,)), (49, (1,))]
)
def test_they_begin_at_any_number(offset: int, shape: tuple[int, ...]) -> None:
    whole, found = counter_uniforms(3, "a", 8, (50,)), counter_uniforms(3, "a", 8, shape, offset=offset)
    assert torch.equal(found, whole[offset : offset + found.numel()].view(shape))
    assert not torch.equal(found, counter_uniforms(3, "a", 8, shape, offset=offset + 1))  # control


def test_streams_differ_by_seed_name_and_index() -> None:
    streams = [(3, "a", 8), (4, "a", 8), (3, "b", 8), (3, "a", 9)]
    drawn = {tuple(counter_uniforms(*stream, (4,)).tolist()) for stream in streams}
    assert len(drawn) == len(streams)
    assert torch.equal(counter_uniforms(3, "a", 8, (2, 3)).flatten(), counter_uniforms(3, "a", 8, (6,)))


def test_they_are_even_and_uncorrelated() -> None:
    """Within five standard deviations: the mean of every bit, and of products of neighbours."""
    u = counter_uniforms(0, "even", 0, (1 << 18,), torch.float64)
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    bits = (u * 2**24).long()[:, None] >> torch.arange(24) & 1
    allowed = 5 / 2 / len(u) ** 0.5
    assert float((bits.double().mean(0) - 0.5).abs().max()) < allowed
    centred = u - 0.5
    for lag in (1, 2, 3, 1284):
        assert abs(float((centred[lag:] * centred[:-lag]).mean())) < allowed / 6
