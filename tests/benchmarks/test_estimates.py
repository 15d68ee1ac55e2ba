"""The estimate, its definition and its products are of the same samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import estimates
from benchmarks.floor import Map
from benchmarks.timing import Way
from benchmarks.work import Bits, generated_bits
from tests.benchmarks.tiny import shrunk


class Halves:
    """A generator of uniforms that are all a half."""

    def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.full(shape, 0.5, dtype)


@pytest.mark.usefixtures("random_nets")
@pytest.mark.parametrize("name", estimates.estimated(generated_bits(60, 12)))
def test_ours_estimates_what_the_definition_says(
    data: Bits, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = shrunk(estimates.estimated(data)[name])
    monkeypatch.setattr("nvil_repro.evaluation.weights.stream", lambda *name: Halves())
    found: list[Any] = estimates.ours(work, samples=7)[0].run()  # type: ignore[assignment]
    plain: list[Any] = estimates.definition(work, samples=7)[0].run()  # type: ignore[assignment]
    for one, other in zip(found, plain, strict=True):
        assert one.samples == 7
        assert one.value.item() == pytest.approx(other.item(), rel=1e-6)
    flipped = replace(work, data=data._replace(train=1 - data.train))
    other = estimates.definition(flipped, samples=7)[0].run()[0]  # type: ignore[index]
    assert found[0].value.item() != pytest.approx(other.item(), rel=1e-6)


def test_the_estimates_have_their_rows(data: Bits) -> None:
    works = {name: shrunk(work) for name, work in estimates.estimated(data).items()}
    rows = list(estimates.estimates(works, seconds=0, samples=1_500))
    assert [row.name.removeprefix("importance-weighted estimate, ") for row in rows] == list(works)
    assert {row.note for row in rows} == {"K = 1,500, per test case"}
    assert all(min(row.ours_ms, row.peer_ms, row.floor_ms) > 0 for row in rows)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("SBN 200", 784 * 200),
        ("SBN 200-200", 784 * 200 + 2 * 200**2),
        ("fDARN 200", 784 * 200 + 200**2 / 2),
        ("SBN 200, autoregressive Q", 784 * 200 + 200**2 / 2),
    ],
)
def test_the_products_of_an_estimate(name: str, weights: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 samples go forward; what they share is left out."""

    def products_alone(models: Iterable[list[Map]], batch: int, share: float) -> list[Way]:
        for maps in models:
            assert not any(m.backward for m in maps)
            assert sum(batch * m.rows * m.columns * m.forward for m in maps) / share == pytest.approx(
                5_000 * weights
            )
        return [Way(lambda: None, share)]

    monkeypatch.setattr(estimates, "products_alone", products_alone)
    work = estimates.estimated(generated_bits(60, 784))[name]
    assert 0 < estimates.floor(work, 5_000)[0].updates < 1
