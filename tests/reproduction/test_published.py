"""The paper's numbers as the project holds them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import ResultsError

PATH = Path(__file__).resolve().parents[2] / "results" / "published.csv"
TABLE_1 = {
    "SBN 200": (113.1, 120.8), "SBN 500": (112.8, 121.4), "SBN 200-200": (99.8, 107.7),
    "SBN 200-200-200": (96.7, 102.2), "SBN 200-200-500": (97.0, 102.3),
    "fDARN 200": (92.5, 95.9), "fDARN 500": (90.7, 97.2),
}  # fmt: skip


def test_table_1() -> None:
    rows = {row.row: row.published for row in read_published(PATH) if row.table == "Table 1"}
    for model, (nvil, wake_sleep) in TABLE_1.items():
        assert (rows[f"{model}, NVIL"], rows[f"{model}, wake-sleep"]) == (nvil, wake_sleep)


def test_every_table_is_there_whole() -> None:
    rows = read_published(PATH)
    count = Counter((row.experiment, row.table.split(",")[0]) for row in rows)
    assert count["nvil_vs_wake_sleep", "Table 1"] + count["rbm_training", "Table 1"] == 2 * len(TABLE_1) + 6
    assert count["autoregressive_inference", "Table 2"] == 8
    assert count["document_perplexity", "Table 3"] == 14
    assert count["variance_reduction", "Figure 1"] == 2 * 2 * 5


def test_rows_are_distinct_and_numbers_have_a_source() -> None:
    rows = read_published(PATH)
    assert len({(row.experiment, row.row, row.metric) for row in rows}) == len(rows)
    assert all(row.source and row.table and row.unit for row in rows)
    assert {row.sign for row in rows if row.measured == "bound" and row.split == "test"} == {-1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",113.1,", ",113;1,", "line 2"),
        (",113.1,", ",nan,", "line 2: expected a finite"),
        ("experiment,row", "row", "line 1"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(PATH.read_text().replace(old, new, 1))
    with pytest.raises(ResultsError, match=message):
        read_published(path)
