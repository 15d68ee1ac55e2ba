"""Rows come back from their file as they went in; anything else is refused with its line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from nvil_repro.reproduction import notebook, results
from nvil_repro.reproduction.results import (
    ResultsError,
    Row,
    dims_label,
    read_profile,
    read_results,
    write_results,
)

MakeRow = Callable[..., Row]
COLUMNS = (
    "experiment,dataset,model,dims,method,protocol,variant,seed,updates,split,metric,value,stderr,n,seconds,device,"
    "threads,profile,settings_hash,code_version,torch_version,note"
)


@pytest.fixture
def file(tmp_path: Path, row: MakeRow) -> Path:
    return write_results(
        tmp_path / "variance_reduction.csv", [row(), row(seed=1, value=-1 / 3, note='a, "b"')]
    )


def test_columns_are_the_documented_ones(file: Path) -> None:
    assert file.read_text().splitlines()[0] == COLUMNS


def test_round_trip_is_exact(file: Path, row: MakeRow) -> None:
    assert read_results(file) == [row(), row(seed=1, value=-1 / 3, note='a, "b"')]


def test_empty_fields_and_nan(tmp_path: Path, row: MakeRow) -> None:
    rows = [row(seed=None, stderr=None, n=None, value=math.nan, note="diverged at update 7")]
    (back,) = read_results(write_results(tmp_path / "x.csv", rows))
    assert (back.seed, back.stderr, back.n) == (None, None, None)
    assert math.isnan(back.value)


def test_equal_rows_give_equal_bytes(tmp_path: Path, row: MakeRow) -> None:
    first, second, other = (
        write_results(tmp_path / name, [row(value=value)]).read_bytes()
        for name, value in (("a", 0.1 + 0.2), ("b", 0.1 + 0.2), ("c", 0.3))
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("experiment,dataset", "experiment", "line 1 must name the columns .*missing: dataset"),
        (",50000,", ",many,", "line 2: updates = 'many' is not a number"),
        (",-120.0,", ",,", "line 2: value = '' is not a number"),
        (",2.13.0,", ",", "line 2 has 21 fields, expected 22"),
        ("abc", '"abc', "not a CSV file|has 20 fields"),
    ],
)
def test_damage_is_named(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(ResultsError, match=message):
        read_results(file)


def test_bytes_that_are_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultsError, match="not a CSV file"):
        read_results(file)


def test_an_empty_file(file: Path) -> None:
    file.write_text("")
    with pytest.raises(ResultsError, match="missing: experiment"):
        read_results(file)


def test_a_profile_holds_its_own_rows_only(file: Path, row: MakeRow) -> None:
    names = ["quickstart", "variance_reduction"]
    assert len(read_profile(file.parent, "quick", names)) == 2
    with pytest.raises(ResultsError, match="never mixed"):
        read_profile(file.parent, "paper", names)
    write_results(file, [row(experiment="quickstart")])
    with pytest.raises(ResultsError, match="only variance_reduction"):
        read_profile(file.parent, "quick", names)


def test_a_row_made_by_a_run_carries_its_provenance(project: Path) -> None:
    run = notebook.parameters({"profile": "smoke", "updates": 5}, "quickstart")
    made = results.result_row(
        run,
        dataset="mnist-fixed",
        model="SBN",
        layers=(200, 500),
        metric="bound",
        value=-1.0,
        split="test",
        updates=5,
    )
    assert (made.experiment, made.profile, made.dims) == ("quickstart", "smoke-custom", "500-200")
    assert made.settings_hash == run.settings_hash
    assert made.torch_version.startswith("2.")
    assert made.device.startswith("cpu (")
    assert made.threads == 1
    path = results.publish(run, [made])
    assert path == project.resolve() / "results" / "smoke-custom" / "quickstart.csv"
    assert read_results(path) == [made]


@pytest.mark.usefixtures("project")
def test_a_value_that_is_not_finite_needs_a_reason() -> None:
    run = notebook.parameters({"profile": "smoke"}, "quickstart")
    what = {"dataset": "d", "model": "SBN", "layers": (2,), "metric": "bound", "split": "test"}
    with pytest.raises(ValueError, match="needs a note"):
        results.result_row(run, value=math.nan, **what)  # type: ignore[arg-type]
    diverged = results.result_row(run, value=-math.inf, note="diverged at update 3", **what)  # type: ignore[arg-type]
    assert math.isnan(diverged.value)


def test_dims_are_printed_deepest_first() -> None:
    assert dims_label((200, 500)) == "500-200" != dims_label((500, 200))
