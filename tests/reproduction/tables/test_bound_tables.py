"""Tables 1 and 2 from their settings to their numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.exact import exact_log_likelihood
from nvil_repro.evaluation.importance import importance_estimate, random_part
from nvil_repro.models.belief_net import Architecture
from nvil_repro.models.mixture import log_prob
from nvil_repro.reproduction import measurements
from nvil_repro.reproduction.bound_tables import table_cells, table_rows, train_table
from nvil_repro.reproduction.cells import Cell
from nvil_repro.reproduction.experiment import PROFILES
from nvil_repro.reproduction.measurements import Bounds, Likelihood, Measured
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.settings import BoundTable
from tests.reproduction.tables.toy_tables import make_run


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
