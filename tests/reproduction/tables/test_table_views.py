"""What Tables 1 and 2 say, and what their nets have learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction import bound_tables, table_views
from nvil_repro.reproduction.cells import Cell
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row


def made(row: Any, **changes: Any) -> Row:
    fields = {
        "experiment": "nvil_vs_wake_sleep",
        "protocol": "balanced",
        "profile": "paper",
        "seconds": 120.0,
    }
    return row(**fields | changes)


@pytest.fixture
def table_1(row: Any) -> list[Row]:
    return [
        made(
            row,
            seed=seed,
            method=method,
            variant="full" if method == "NVIL" else "",
            metric=metric,
            value=value,
        )
        for method, base in (("NVIL", -112.0), ("wake-sleep", -119.0))
        for seed in (0, 1)
        for metric, value in (("bound", base - 0.5 * seed), ("importance_weighted", base + 5 + seed))
    ]


def test_summary_stands_beside_the_paper(table_1: list[Row], row: Any) -> None:
    table = table_views.summary(table_1, read_published())
    assert table["trained by"].tolist() == ["NVIL", "wake-sleep"]
    line = table.iloc[0]
    assert (line["paper"], line["ours"], line["seeds"], line["spread"]) == (113.1, 112.25, 2, 0.5)
    assert line["difference"] == pytest.approx(112.25 - 113.1)
    assert (line["importance-weighted"], line["minutes"]) == (106.5, 2.0)
    alone = [made(row, method="NVIL", variant="full", metric="bound", value=-110.0, protocol="another")]
    leads = table_views.leads(table_views.summary([*alone, *table_1], []), "NVIL", "wake-sleep")
    assert list(leads.index) == [("SBN 200", "balanced")]  # where there are both
    assert leads["ours"].tolist() == pytest.approx([7.0])
    leads = table_views.leads(table, "NVIL", "wake-sleep").iloc[0]
    assert leads.tolist() == pytest.approx([120.8 - 113.1, 7.0, 7.0])


def test_what_is_not_sound_is_named(table_1: list[Row], data: MnistSplits) -> None:
    assert "worst: SBN 200, -119.5 nats" in table_views.require_sound(table_1, data)
    below = [*table_1[:1], table_1[1]._replace(value=-113.0), *table_1[2:]]
    with pytest.raises(AssertionError, match=r"-113.0 lies below the bound -112.0"):
        table_views.require_sound(below, data)
    with pytest.raises(AssertionError, match="no better than independent pixels"):
        table_views.require_sound([table_1[0]._replace(value=-9e9)], data)


def test_pictures_of_each_model(nets: dict[Cell, Measured], run: Run, data: MnistSplits) -> None:
    drawn = table_views.drawn(nets, "NVIL", 5)
    assert {name: tuple(images.shape) for name, images in drawn.items()} == {
        "SBN 3-2": (5, 784),
        "fDARN 3": (5, 784),
    }
    assert table_views.drawn(nets, "exact", 5)["mixture of Bernoullis 4"].shape == (5, 784)
    assert table_views.filters(nets, "wake-sleep", 2)["SBN 3-2"].shape == (2, 784)
    assert bound_tables.architecture("DARN", "autoregressive Q") == Architecture(True, True, True)


def test_a_picture_is_of_the_first_seed_that_is_here(nets: dict[Cell, Measured]) -> None:
    """Under the first protocol, or one that is named; nothing, where a model has no such net."""
    one = {cell: net for cell, net in nets.items() if cell.model == "fDARN 3" and cell.column == "NVIL"}
    (cell, net), other = *one.items(), nets[Cell("SBN 3-2", "NVIL", "balanced", 0)]
    later, literal = cell._replace(seed=8), cell._replace(protocol="literal")
    of_a_net = table_views.filters(one, "NVIL")["fDARN 3"]
    assert torch.equal(table_views.filters({cell: None, later: net}, "NVIL")["fDARN 3"], of_a_net)
    assert torch.equal(table_views.filters({cell: net, later: other}, "NVIL")["fDARN 3"], of_a_net)
    assert table_views.filters({cell: None, literal: net}, "NVIL") == {}
    by_the_letter = table_views.drawn({cell: None, literal: net}, "NVIL", protocol="literal")
    assert torch.equal(by_the_letter["fDARN 3"], table_views.drawn(one, "NVIL")["fDARN 3"])
    assert table_views.drawn({cell: net, literal: None}, "NVIL", protocol="literal") == {}
    missing = cell._replace(model="SBN 4")
    assert table_views.filters({cell: net, missing: None}, "NVIL") == {}
    elsewhere = {cell: net, missing._replace(protocol="literal"): None}
    assert torch.equal(table_views.filters(elsewhere, "NVIL")["fDARN 3"], of_a_net)
