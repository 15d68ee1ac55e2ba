"""Our numbers beside the paper's: the right rows, its sign, honest gaps, never two profiles together."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from nvil_repro.learning.nvil import LABELS
from nvil_repro.reproduction import compare as module
from nvil_repro.reproduction.compare import (
    Comparison,
    compare,
    load_comparison,
    numbers,
    summarise,
    to_json,
    to_text,
)
from nvil_repro.reproduction.protocols import VARIANTS
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import ResultsError, Row, write_results

MakeRow = Callable[..., Row]
PUBLISHED = read_published(Path(__file__).resolve().parents[2] / "results" / "published.csv")


def find(rows: list[Row], row: str, metric: str, experiment: str = "variance_reduction") -> list[Comparison]:
    return [
        c for c in compare(PUBLISHED, rows) if (c.experiment, c.row, c.metric) == (experiment, row, metric)
    ]


def test_table_1_in_its_own_sign(row: MakeRow) -> None:
    (c,) = find([row(seed=0, value=-120.0), row(seed=1, value=-122.0)], "SBN 200, NVIL", "test bound")
    assert (c.published, c.ours, c.seeds, c.protocol) == (113.1, 121.0, 2, "quick")
    assert c.difference == pytest.approx(7.9, abs=1e-12)
    assert c.stderr == pytest.approx(
        1.0, abs=1e-12
    )  # two seeds 2 apart: standard deviation sqrt 2, over sqrt 2


def test_one_seed_has_the_estimates_own_error_and_says_so(row: MakeRow) -> None:
    (c,) = find([row()], "SBN 200, NVIL", "test bound")
    assert c.stderr == 0.25
    assert "one seed: stderr is the estimate's own" in c.note
    (two,) = find([row(), row(seed=1)], "SBN 200, NVIL", "test bound")
    assert "one seed" not in two.note


def test_the_end_of_training_counts(row: MakeRow) -> None:
    (c,) = find(
        [row(updates=10, value=-200.0), row(updates=20), row(updates=15, value=-150.0)],
        "SBN 200, NVIL",
        "test bound",
    )
    assert c.ours == 120.0


@pytest.mark.parametrize(
    "change", [{"dims": "200-200"}, {"method": "wake-sleep"}, {"variant": "none"}, {"split": "valid"}]
)
def test_other_rows_do_not_count(row: MakeRow, change: dict[str, str]) -> None:
    (c,) = find([row(**change)], "SBN 200, NVIL", "test bound")
    assert c.ours is None
    assert c.note.startswith("not run")


def test_protocols_stand_apart(row: MakeRow) -> None:
    found = find(
        [row(protocol="literal"), row(protocol="improved", value=-110.0)], "SBN 200, NVIL", "test bound"
    )
    assert [(c.protocol, c.ours) for c in found] == [("literal", 120.0), ("improved", 110.0)]


def test_another_binarisation_is_said(row: MakeRow) -> None:
    (c,) = find([row(dataset="mnist-binarised-seed0")], "SBN 200, NVIL", "test bound")
    assert "on mnist-binarised-seed0" in c.note
    (fixed,) = find([row()], "SBN 200, NVIL", "test bound")
    assert "mnist" not in fixed.note


def test_a_diverged_seed_is_left_out_and_named(row: MakeRow) -> None:
    bad = row(seed=1, value=math.nan, note="diverged at update 7")
    (c,) = find([row(), bad], "SBN 200, NVIL", "test bound")
    assert (c.ours, c.seeds) == (120.0, 1)
    assert "seed 1: diverged at update 7" in c.note
    (all_bad,) = find([bad], "SBN 200, NVIL", "test bound")
    assert (all_bad.ours, all_bad.difference, all_bad.seeds) == (None, None, 0)


def curves(row: MakeRow, bounds: dict[str, float]) -> list[Row]:
    return [row(variant=name, split="valid", value=value, note="x") for name, value in bounds.items()]


def test_the_order_of_the_figure(row: MakeRow) -> None:
    rows = curves(row, dict(zip(VARIANTS, (-110, -125, -120, -140, math.nan), strict=True)))
    labels = ["Baseline, IDB, & VN", "Baseline & VN", "Baseline only", "VN only", "No baselines & no VN"]
    ranks = [find(rows, f"SBN 200: {label}", "order")[0] for label in labels]
    assert [c.published for c in ranks] == [1, 2, 3, 4, 5]
    assert [c.ours for c in ranks] == [1, 3, 2, 4, None]


def test_a_variant_with_a_diverged_seed_is_the_last_of_the_order(row: MakeRow) -> None:
    first = curves(row, dict(zip(VARIANTS, (-110, -105, -120, -140, -160), strict=True)))
    second = curves(row, dict(zip(VARIANTS, (-110, math.nan, -120, -140, -160), strict=True)))
    rows = [*first, *(each._replace(seed=1) for each in second)]
    ranks = [find(rows, f"SBN 200: {label}", "order")[0].ours for label in LABELS.values()]
    assert ranks == [1, 5, 2, 3, 4]
    healthy = [find(first, f"SBN 200: {label}", "order")[0].ours for label in LABELS.values()]
    assert healthy == [2, 1, 3, 4, 5]  # control


def test_no_order_among_some_of_the_variants(row: MakeRow) -> None:
    (c,) = find(curves(row, {"full": -110.0, "none": -160.0}), "SBN 200: Baseline, IDB, & VN", "order")
    assert c.ours is None
    assert "needs all 5 variants" in c.note


def test_figure_1_has_no_printed_numbers(row: MakeRow) -> None:
    (c,) = find(curves(row, {"full": -110.0}), "SBN 200: Baseline, IDB, & VN", "validation bound")
    assert (c.published, c.ours, c.difference) == (None, -110.0, None)


@pytest.mark.parametrize(
    ("metric", "published", "shown"),
    [
        ("test bound", 97.0, "97.0"),
        ("test bound", 125.53, "125.53"),
        ("validation bound", None, "–"),
        ("order", 3.0, "3"),
        ("exact test perplexity", 896.0, "896"),
    ],
)
def test_published_numbers_look_as_printed(metric: str, published: float | None, shown: str) -> None:
    assert numbers(Comparison("e", "r", metric, published, 1.0, None, None, 1, None, ""))[0] == shown


def test_without_results_it_says_where_they_come_from(row: MakeRow) -> None:
    said = to_text(compare(PUBLISHED, []), "quick")
    assert "make them by: nvil-repro run --profile quick; --profile paper shows those that come" in said
    assert "--profile paper shows" not in to_text(compare(PUBLISHED, []), "paper")
    assert "make them by" not in to_text(compare(PUBLISHED, [row()]), "quick")


def test_json_has_exactly_the_keys_and_no_nan(row: MakeRow) -> None:
    text = to_json(compare(PUBLISHED, [row(value=math.nan, note="diverged at update 1")]))
    entries = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} in JSON"))
    keys = [
        "experiment",
        "row",
        "metric",
        "published",
        "ours",
        "stderr",
        "difference",
        "seeds",
        "protocol",
        "note",
    ]
    assert all(list(entry) == keys for entry in entries)
    assert len(entries) == len(PUBLISHED)
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json([Comparison("e", "r", "m", None, math.nan, None, None, 1, None, "")])


def test_profiles_are_never_mixed(row: MakeRow) -> None:
    with pytest.raises(ResultsError, match="paper, quick"):
        compare(PUBLISHED, [row(), row(profile="paper")])


def test_two_results_for_one_number_are_refused(row: MakeRow) -> None:
    with pytest.raises(ResultsError, match="two results"):
        summarise([row(), row(value=-1.0)])


def test_text_names_what_was_not_run(row: MakeRow) -> None:
    text = to_text(compare(PUBLISHED, [row()]), "quick")
    (line,) = [line for line in text.splitlines() if line.startswith("  SBN 200, NVIL")]
    assert line.split() == [
        "SBN",
        "200,",
        "NVIL",
        "test",
        "bound",
        "113.1",
        "120.00",
        "0.25",
        "+6.90",
        "1",
        "quick",
        "[1]",
    ]
    assert "not run: document_perplexity: SBN 50, 20 Newsgroups (909); SBN 50" in text
    assert (
        "SBN 200: Baseline, IDB, & VN (validation bound); SBN 200: Baseline, IDB, & VN (order 1)"
        in " ".join(to_text(compare(PUBLISHED, []), "quick").split())
    )
    short = to_text(compare(PUBLISHED, [row()]), "quick", complete=False)
    assert f"{len(PUBLISHED) - 1} published numbers have no run yet" in short


def test_command(project: Path, row: MakeRow, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(project / "results" / "quick" / "variance_reduction.csv", [row()])
    assert module.main(argparse.Namespace(profile="quick", json=True)) == 0
    assert any(entry["ours"] == 120.0 for entry in json.loads(capsys.readouterr().out))
    assert all(c.ours is None for c in load_comparison(project, "paper"))
    (project / "results" / "quick").rename(project / "results" / "paper")
    with pytest.raises(ResultsError, match="never mixed"):
        module.main(argparse.Namespace(profile="paper", json=True))
