"""Tables 1 and 2 from their settings to their numbers, on nets small enough to enumerate."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.exact import exact_log_likelihood
from nvil_repro.evaluation.importance import importance_estimate, random_part
from nvil_repro.models.belief_net import Architecture
from nvil_repro.models.mixture import log_prob
from nvil_repro.reproduction import bound_tables, measurements, table_views
from nvil_repro.reproduction.bound_tables import table_cells, table_rows, train_table
from nvil_repro.reproduction.cells import Cell, bound_cells, cell_hash, expected_hashes, kept_rows
from nvil_repro.reproduction.experiment import PROFILES
from nvil_repro.reproduction.measurements import Bounds, Likelihood, Measured
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.reproduction.settings import BoundTable

SIZES = {"evaluations": 2, "test_cases": 40, "importance_samples": 400, "importance_cases": 40}


def make_run(folder: Path, experiment: str = "nvil_vs_wake_sleep", **changes: Any) -> Run:
    given = {"models": ["SBN 3-2", "fDARN 3", "mixture of Bernoullis 4"], "passes": [40], **SIZES, **changes}
    return parameters({"profile": "smoke", **given, "results_dir": str(folder)}, experiment)


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(140, 784, generator=generator) < torch.rand(784, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def nets(run: Run, data: MnistSplits) -> dict[Cell, Measured]:
    torch.set_num_threads(1)
    return train_table(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, nets: dict[Cell, Measured], data: MnistSplits) -> list[Row]:
    return list(table_rows(run, nets, data))


def training(cells: dict[Cell, Any], *cell: Any) -> Any:
    return cells[Cell(*cell)].training


def test_cells_are_models_by_columns_by_protocols_by_their_own_seeds(tmp_path: Path) -> None:
    run = make_run(
        tmp_path, protocols=["balanced", "literal"], passes=[100, 200], seeds=[[0, 1], [5]], evaluations=10
    )
    cells = table_cells(run, 59_900)
    assert len(cells) == 2 * 2 * 3 + 2  # belief nets, and the mixture once for each first seed
    literal = training(cells, "SBN 3-2", "wake-sleep", "literal", 5)
    assert (literal.updates, literal.eval_every, literal.layers) == (599_000, 59_900, (2, 3))
    assert (literal.method, literal.rate, literal.decay_from) == ("wake-sleep", 1e-4, None)
    balanced = training(cells, "fDARN 3", "NVIL", "balanced", 1)
    assert (balanced.updates, balanced.decay_from, balanced.seeds) == (299_500, 149_750, (1,))
    assert balanced.architecture == Architecture(prior=True)
    assert training(cells, "mixture of Bernoullis 4", "exact", "", 1).updates == 50


def test_tables_share_the_nets_they_have_in_common(tmp_path: Path) -> None:
    first = table_cells(make_run(tmp_path), 60)
    second = table_cells(
        make_run(
            tmp_path, "autoregressive_inference", models=["SBN 3-2"], columns=["NVIL", "autoregressive Q"]
        ),
        60,
    )
    key = Cell("SBN 3-2", "NVIL", "balanced", 0)
    assert first[key] == second[key]
    other = training(second, "SBN 3-2", "autoregressive Q", "balanced", 0)
    assert other.architecture == Architecture(inference=True)
    assert replace(other, architecture=Architecture()) == first[key].training


def test_an_entry_for_each_protocol(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"parameter passes = .* an entry for each of the protocols"):
        make_run(tmp_path, protocols=["literal", "balanced"])
    with pytest.raises(ValueError, match=r'a name such as "SBN 200-500"'):
        make_run(tmp_path, models=["SBN 200-"])


def test_a_test_row_is_what_it_says(rows: list[Row], nets: dict[Cell, Measured], data: MnistSplits) -> None:
    tests = {(r.model, r.method, r.metric): r for r in rows if r.split == "test"}
    net = nets[Cell("SBN 3-2", "NVIL", "balanced", 0)].result.best.net
    bound = estimate_bound(net, data.test, seed=0, name="test")
    found = tests["SBN", "NVIL", "bound"]
    assert (found.value, found.stderr, found.n) == (bound.value.item(), bound.stderr.item(), 40)
    assert (found.dims, found.variant, found.protocol, found.seed, found.threads) == (
        "3-2",
        "full",
        "balanced",
        0,
        1,
    )
    assert found.value != tests["SBN", "wake-sleep", "bound"].value  # control
    weighted = tests["SBN", "NVIL", "importance_weighted"]
    exact = exact_log_likelihood(net, data.test).mean().item()
    assert found.value < weighted.value
    part = data.test[random_part(40, 40)]
    expected = importance_estimate(net, part, 400, seed=0)
    assert weighted.value == pytest.approx(expected.value.item(), abs=1e-9)  # the part is the whole
    assert weighted.stderr == pytest.approx(expected.stderr.item(), rel=1e-6)
    assert abs(weighted.value - exact) < 0.1 * abs(found.value - exact)
    assert weighted.note.startswith("400 samples a case, median effective ")
    mixture = nets[Cell("mixture of Bernoullis 4", "exact", "", 0)].result.best.net
    likelihood = tests["mixture of Bernoullis", "", "log_likelihood"]
    assert likelihood.value == pytest.approx(log_prob(mixture, data.test).double().mean().item(), abs=1e-9)


def test_measured_once_and_read_again(
    run: Run, nets: dict[Cell, Measured], data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounds, "measure", None)
    monkeypatch.setattr(Likelihood, "measure", None)
    again = train_table(run, data)
    assert {cell: m.test for cell, m in again.items()} == {cell: m.test for cell, m in nets.items()}
    more = replace(run, settings=replace(run.settings, importance_samples=7))
    with pytest.raises(TypeError):  # control: another measurement is made
        train_table(more, data)


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


def test_a_diverged_net_is_a_row_of_nan(run: Run, data: MnistSplits, tmp_path: Path) -> None:
    cell = Cell("SBN 3-2", "NVIL", "balanced", 0)
    m = table_cells(run, 60)[cell]
    wild = replace(m, training=replace(m.training, rate=1e38))
    measured = measurements.train_and_measure(wild, data, tmp_path, progress="off", threads=1)
    last = list(table_rows(run, {cell: measured}, data))[-1]
    assert math.isnan(last.value)
    assert last.note.startswith("diverged at update ")
    assert json.loads((tmp_path / measurements.measured_file(wild)).read_text()) == {}


def test_a_measurement_is_named_by_the_code_before_the_training(
    run: Run, data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may be edited while it lasts."""
    m = table_cells(run, 60)[Cell("SBN 3-2", "NVIL", "balanced", 0)]
    named, train = measurements.measured_file(m), measurements.belief_nets.train

    def meanwhile(*given: Any, **options: Any) -> Any:
        monkeypatch.setattr(measurements, "code_hash", lambda **_: "edited")
        return train(*given, **options)

    monkeypatch.setattr(measurements.belief_nets, "train", meanwhile)
    measurements.train_and_measure(m, data, tmp_path, progress="off", threads=1)
    assert (tmp_path / named).is_file()
    assert measurements.measured_file(m) != named  # control


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


def test_summary_stands_beside_the_paper(table_1: list[Row]) -> None:
    table = table_views.summary(table_1, read_published())
    assert table["trained by"].tolist() == ["NVIL", "wake-sleep"]
    line = table.iloc[0]
    assert (line["paper"], line["ours"], line["seeds"], line["spread"]) == (113.1, 112.25, 2, 0.5)
    assert line["difference"] == pytest.approx(112.25 - 113.1)
    assert (line["importance-weighted"], line["minutes"]) == (106.5, 2.0)
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
    assert table_views.filters({cell: net, later._replace(model="SBN 4"): None}, "NVIL") == {}


def test_experiments_that_share_nets_take_turns() -> None:
    """Or two processes would find each other in one folder."""
    for profile in PROFILES:
        owners: dict[Any, str] = {}
        for name, experiment in EXPERIMENTS.items():
            settings = experiment.profiles[profile]
            if not isinstance(settings, BoundTable):
                continue
            for cell, m in table_cells(Run(experiment, profile, settings, Path("x")), 59_900).items():
                first = owners.setdefault(f"{cell.model} {m.training.hash}", name)
                assert first == name or first in experiment.after, (profile, name, first)
    assert EXPERIMENTS["autoregressive_inference"].after == ("nvil_vs_wake_sleep",)
