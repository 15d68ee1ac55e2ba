"""Where Figure 1's curves end and in what order, from rows made for the purpose."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.variance_views import (
    final_bounds,
    paper_order,
    require_paper_ends,
    search_table,
)
from tests.reproduction.figure_1.toy_figure import VARIANTS


class Curve(NamedTuple):
    variant: str
    values: tuple[float, float]  # at the end, of two seeds


def curves(*ends: Curve, row: Any) -> list[Row]:
    return [
        row(variant=c.variant, seed=seed, value=value - drop, updates=updates, split="valid", note="as given")
        for c in ends
        for seed, value in enumerate(c.values)
        for updates, drop in ((0, 50.0), (100, 0.0))
    ]


PRINTED = [Curve(v, (-100.0 - i, -102.0 - 3 * i)) for i, v in enumerate(VARIANTS)]


def test_order_compares_neighbours_seed_by_seed(row: Any) -> None:
    order = paper_order(curves(*PRINTED, row=row))
    assert list(zip(order["above"], order["below"], strict=True)) == list(pairwise(VARIANTS))
    assert order["lead"].tolist() == [2.0] * 4
    assert order["stderr"].tolist() == [1.0] * 4
    assert order["holds"].all()


def test_order_and_ends_notice_a_swap_and_a_divergence(row: Any) -> None:
    swapped = [Curve("full", (-101.5, -106.0)), *PRINTED[1:]]
    assert paper_order(curves(*swapped, row=row))["holds"].tolist() == [False, True, True, True]
    with pytest.raises(AssertionError, match=r"SBN 200, quick: best baseline_vn .* the paper's best is full"):
        require_paper_ends(curves(*swapped, row=row), {"quick"})
    diverged = [*PRINTED[:1], Curve("baseline_vn", (math.nan, math.nan)), *PRINTED[2:]]
    with pytest.raises(AssertionError, match="worst baseline_vn"):
        require_paper_ends(curves(*diverged, row=row), {"quick"})


def test_ends_are_required_of_the_named_protocols_alone(row: Any) -> None:
    told = require_paper_ends(curves(*PRINTED, row=row), {"quick"})
    assert told == "SBN 200, quick: best full (-101.0), worst none (-109.0)"
    assert require_paper_ends(curves(*reversed(PRINTED[1:]), row=row), {"improved"}) == ""


def test_ends_are_those_of_the_variants_that_were_run(row: Any) -> None:
    told = require_paper_ends(curves(*PRINTED[:3], row=row), {"quick"})
    assert told == "SBN 200, quick: best full (-101.0), worst baseline (-105.0)"
    swapped = [*PRINTED[:1], Curve("baseline_vn", (-300.0, -300.0)), PRINTED[2]]
    with pytest.raises(AssertionError, match=r"worst baseline_vn .* its worst baseline"):
        require_paper_ends(curves(*swapped, row=row), {"quick"})


def test_a_search_in_which_all_diverged_says_so(row: Any) -> None:
    rows = [
        row(
            variant=variant,
            metric=SEARCH,
            value=value,
            split="valid",
            note=f"rates x {factor}{', diverged' * (value != value)}",
        )
        for variant, values in (("full", (-3.0, math.nan)), ("none", (math.nan, math.nan)))
        for factor, value in zip(("1", "30"), values, strict=True)
    ]
    table = search_table(rows)
    assert table["best"].tolist() == ["1, smallest tried", "all diverged"]
    assert table.loc[("200", "full"), 1.0] == -3.0
    assert math.isnan(table.loc[("200", "full"), 30.0])


def test_a_seed_that_diverged_leaves_no_mean(row: Any) -> None:
    ends = final_bounds(curves(Curve("full", (-100.0, -100.0)), Curve("none", (-99.0, math.nan)), row=row))
    assert ends.loc["full"].item() == -100.0
    assert math.isnan(ends.loc["none"].item())
