"""A cell's rows know its settings alone, and where they are kept they are not computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction import table_views
from nvil_repro.reproduction.bound_tables import table_rows, train_table
from nvil_repro.reproduction.cells import (
    Cell,
    Timing,
    bound_cells,
    cell_hash,
    document_cells,
    expected_hashes,
    kept_rows,
    timing_cells,
)
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row, write_results
from tests.reproduction.tables.toy_tables import make_run


def test_rows_that_are_kept_are_not_computed_again(
    run: Run,
    nets: dict[Cell, Measured],
    rows: list[Row],
    data: MnistSplits,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_results(tmp_path / "nvil_vs_wake_sleep.csv", [row for row in rows if row.method != "wake-sleep"])
    there = replace(run, profile="other", results_dir=tmp_path / "there", keep=tmp_path)
    others = train_table(there, data)
    told = f"3 of 5 nets are not trained: their rows are kept, written by {rows[0].code_version}\n"
    assert told in capsys.readouterr().out
    assert [cell for cell, net in others.items() if net is not None] == [
        cell for cell in nets if cell.column == "wake-sleep"
    ]
    again = list(table_rows(there, others, data))
    assert [row._replace(profile=run.profile, seconds=0) for row in again] == [
        row._replace(seconds=0) for row in rows
    ]
    assert {row.seconds for row in rows if row.method == "NVIL"} <= {
        row.seconds for row in again
    }  # as they were
    assert table_views.drawn(others, "NVIL") == {}
    assert list(table_views.filters(others, "wake-sleep")) == list(table_views.filters(nets, "wake-sleep"))
    assert train_table(replace(run, keep=tmp_path), data).keys() == nets.keys()
    assert None not in train_table(replace(run, keep=tmp_path), data).values()  # those here are looked at
    assert kept_rows(there, [data.dataset]).keys() == {cell for cell, net in others.items() if net is None}
    for changed, dataset in ((replace(run.settings, test_cases=39), data.dataset), (run.settings, "another")):
        assert kept_rows(replace(there, settings=changed), [dataset]) == {}


def test_table_2_keeps_the_rows_of_nets_that_table_1_has_trained(
    run: Run, nets: dict[Cell, Measured], rows: list[Row], data: MnistSplits, tmp_path: Path
) -> None:
    """As Table 2 would have written them; controls: rows of its own come first, other settings have none."""
    changes = {"models": ["SBN 3-2"], "columns": ["NVIL", "autoregressive Q"]}
    second = make_run(run.results_dir, "autoregressive_inference", **changes)
    there = replace(second, results_dir=tmp_path / "there", keep=tmp_path)
    write_results(tmp_path / "nvil_vs_wake_sleep.csv", rows)
    write_results(tmp_path / "autoregressive_inference.csv", [])
    cell = Cell("SBN 3-2", "NVIL", "balanced", 0)
    assert kept_rows(there, [data.dataset]).keys() == {cell}
    shared = list(table_rows(there, {cell: None}, data))
    trained = list(table_rows(second, {cell: nets[cell]}, data))
    assert [row._replace(seconds=0) for row in shared] == [row._replace(seconds=0) for row in trained]
    assert {row.variant for row in shared} == {"factorial"}
    marked = [row._replace(note="own") for row in trained]
    write_results(tmp_path / "autoregressive_inference.csv", marked)
    assert {row.note for row in table_rows(there, {cell: None}, data)} == {"own"}
    write_results(tmp_path / "autoregressive_inference.csv", [])
    other = replace(there, settings=replace(there.settings, test_cases=39))
    assert kept_rows(other, [data.dataset]) == {}
    (tmp_path / "nvil_vs_wake_sleep.csv").unlink()
    assert kept_rows(there, [data.dataset]) == {}  # a table that was never run has none


def test_a_row_says_the_settings_of_its_cell_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands beside it in the table; control: what its numbers depend on."""
    alone = make_run(tmp_path, models=["fDARN 3"], columns=["NVIL"])
    protocols = {"protocols": ["literal", "balanced"], "passes": [3, 40], "seeds": [[1], [0, 7]]}
    wider = make_run(tmp_path, **protocols, timed_updates=150)
    other = make_run(tmp_path, importance_samples=401)
    cell, mixture = Cell("fDARN 3", "NVIL", "balanced", 0), Cell("mixture of Bernoullis 4", "exact", "", 0)
    only = cell_hash(alone.experiment, alone.settings, cell)
    assert only in expected_hashes(alone.experiment, alone.settings)
    assert only == cell_hash(wider.experiment, wider.settings, cell)
    assert only != cell_hash(other.experiment, other.settings, cell)
    exact = [cell_hash(each.experiment, each.settings, mixture) for each in (alone, other)]
    assert exact[0] == exact[1]  # an exact likelihood has no use for importance samples
    for first, second, same in ((20, 30, False), (60, 70, True)):  # passes; of a mixture at most 50
        one, two = (make_run(tmp_path, passes=[n]) for n in (first, second))
        pair = [cell_hash(each.experiment, each.settings, mixture) for each in (one, two)]
        assert (pair[0] == pair[1]) == same
    asleep = cell._replace(column="wake-sleep")
    before = [cell_hash(alone.experiment, alone.settings, each) for each in (cell, asleep)]
    of_nvil, of_sleep = {"rate", "inference_rate", "centre"}, {"wake_sleep_rate"}
    for field in (*of_nvil, *of_sleep, "hold", "batch"):
        with monkeypatch.context() as patch:
            patch.setitem(PROTOCOLS, "balanced", PROTOCOLS["balanced"]._replace(**{field: 0.25}))
            after = [cell_hash(alone.experiment, alone.settings, each) for each in (cell, asleep)]
        assert [a != b for a, b in zip(after, before, strict=True)] == [
            field not in of_sleep,
            field not in of_nvil,
        ]
    quick = EXPERIMENTS["quickstart"]
    assert len(expected_hashes(quick, quick.profiles["smoke"])) == 1


def test_what_is_left_out_of_a_protocol(tmp_path: Path) -> None:
    """Models, columns and cells so named, and what their updates cost; what is left is as it would be otherwise."""
    protocols = {"protocols": ["literal", "balanced"], "passes": [3, 4], "seeds": [[5], [0, 7]]}
    full = make_run(tmp_path, **protocols)
    few = make_run(tmp_path, left_out=["wake-sleep balanced", "NVIL fDARN 3 literal"], **protocols)
    cells, left = [list(bound_cells(run.settings)) for run in (full, few)]
    assert [cell for cell in cells if cell not in left] == [
        Cell("fDARN 3", "NVIL", "literal", 5),
        *(Cell(model, "wake-sleep", "balanced", s) for model in ("SBN 3-2", "fDARN 3") for s in (0, 7)),
    ]
    assert Cell("mixture of Bernoullis 4", "exact", "", 5) in left
    assert list(timing_cells(few.settings)) == list(
        dict.fromkeys(Timing(cell.model, cell.column, cell.protocol) for cell in left if cell.protocol)
    )
    kept = [expected_hashes(run.experiment, run.settings) for run in (few, full)]
    assert kept[0] < kept[1]
    whole = make_run(tmp_path, left_out=["fDARN 3 balanced"], **protocols)
    assert {cell.model for cell in bound_cells(whole.settings) if cell.protocol == "balanced"} == {"SBN 3-2"}
    with pytest.raises(ParameterError, match=r"left_out.*expected a net of NVIL to be left; name fewer"):
        make_run(tmp_path, left_out=["NVIL literal", "SBN 3-2 balanced", "fDARN 3 balanced"], **protocols)
    for name in ("wake-sleep", "NVIL quick", "NVIL balanced fDARN 3", "mixture of Bernoullis 4 literal"):
        with pytest.raises(ParameterError, match=f"left_out names '{name}'"):
            make_run(tmp_path, left_out=[name], **protocols)


def test_a_profile_leaves_out_of_its_own_protocols_alone() -> None:
    """A reader who asks for others gets all of their nets, and may leave out some."""

    def cells(**changes: Any) -> set[tuple[str, str, str]]:
        run = parameters({"profile": "paper", "passes": [1], "seeds": [[0]], **changes}, "nvil_vs_wake_sleep")
        return {(cell.column, cell.model, cell.protocol) for cell in bound_cells(run.settings)}

    nets = {
        ("NVIL", "fDARN 500", "patient"),
        ("NVIL", "SBN 200-200", "patient"),
        ("wake-sleep", "fDARN 500", "patient"),
    }
    own = EXPERIMENTS["nvil_vs_wake_sleep"].profiles["paper"]
    as_there = cells(protocols=list(own.protocols), passes=[1, 1, 1], seeds=[[0], [0], [0]])
    assert as_there & nets == {("NVIL", "fDARN 500", "patient")}
    assert nets <= cells(protocols=["patient"])
    fewer = cells(protocols=["patient"], left_out=["wake-sleep fDARN 500 patient"])
    assert nets - fewer == {("wake-sleep", "fDARN 500", "patient")}
    documents = {"profile": "paper", "protocols": ["literal"], "passes": [1], "seeds": [[0]]}
    table = parameters(documents, "document_perplexity").settings
    assert {cell.corpus for cell in document_cells(table) if cell.protocol} == set(table.corpora)


def test_long_trainings_have_one_seed(tmp_path: Path) -> None:
    """Models, columns and cells so named, under each protocol; the others, and every cell's hash, are as without."""
    protocols = {"protocols": ["literal", "balanced"], "passes": [3, 3], "seeds": [[5, 6], [0, 7]]}
    models = ["SBN 3-2", "SBN 4", "SBN 3", "mixture of Bernoullis 4", "NADE 4"]
    full = make_run(tmp_path, models=models, **protocols)
    few = make_run(
        tmp_path,
        models=models,
        one_seed=["wake-sleep", "SBN 4", "NADE 4", "NVIL SBN 3"],
        **protocols,
    )
    left = [
        cell
        for cell in bound_cells(full.settings)
        if not (
            cell.seed in (6, 7)
            and (cell.column == "wake-sleep" or cell.model in ("SBN 4", "SBN 3", "NADE 4"))
        )
    ]
    assert list(bound_cells(few.settings)) == left
    assert len(left) == 17 < len(list(bound_cells(full.settings))) == 28
    asleep = make_run(tmp_path, models=models, one_seed=["wake-sleep SBN 3"], **protocols)
    assert len(list(bound_cells(asleep.settings))) == 26
    for cell in left:
        assert cell_hash(few.experiment, few.settings, cell) == cell_hash(
            full.experiment, full.settings, cell
        )
    for name in ("wake sleep", "SBN", "SBN 3 NVIL", 3, "SBN 9", "autoregressive Q", "autoregressive Q SBN 3"):
        with pytest.raises(ParameterError, match="one_seed"):
            make_run(tmp_path, one_seed=[name])
