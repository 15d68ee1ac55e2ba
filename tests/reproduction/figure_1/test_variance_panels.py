"""Figure 1's panels: what is trained, what is kept, and the rows of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction import belief_nets, variance_panels
from nvil_repro.reproduction.cells import Curves, Panel, curve_cells, expected_hashes
from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.reproduction.variance_over_training import variance_along
from tests.reproduction.figure_1.toy_figure import VARIANTS, tuned


@pytest.fixture(scope="module")
def rows(run: Run, data: MnistSplits) -> list[Row]:
    return variance_panels.panel_rows(run, variance_panels.train_panels(run, data), data)


def test_every_panel_variant_and_seed_has_its_rows(rows: list[Row]) -> None:
    assert {(r.dims, r.protocol) for r in rows} == {("3", "quick"), ("2-3", "quick")}
    curve = [r for r in rows if r.dims == "3" and r.split == "valid" and r.metric == "bound"]
    assert sorted((r.variant, r.seed, r.updates) for r in curve) == sorted(
        (v, s, u) for v in VARIANTS for s in (0, 1) for u in (0, 10, 20)
    )
    tests = [r for r in rows if r.split == "test"]
    assert len(tests) == 2 * 2
    assert {(r.metric, r.variant, r.n) for r in tests} == {("bound", "full", 40)}


def test_variance_is_the_same_with_normalisation_undone(rows: list[Row]) -> None:
    """At equal parameters VN divides the gradient by a number, and that is all it does."""
    panel = [r for r in rows if r.dims == "3" and r.seed == 0]
    used = {r.variant: r.value for r in panel if r.metric == "gradient_variance"}
    undone = {r.variant: r.value for r in panel if r.metric == "gradient_variance_unscaled"}
    assert undone["baseline_vn"] == pytest.approx(undone["baseline"], rel=1e-5)
    assert undone["vn"] == pytest.approx(undone["none"], rel=1e-5)
    assert used["none"] == undone["none"]
    assert used["vn"] < 0.99 * undone["vn"]  # control: there is a divisor
    assert undone["none"] > 1.5 * undone["baseline"]


def test_rows_of_curves_and_of_variances_are_kept_and_only_the_rest_is_trained(
    run: Run, data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made apart, say on a GPU, they are those of the whole figure, seed by seed; another setting makes them others."""
    one = replace(run.settings, networks=((3,),), seeds=(0,))
    made = replace(run, settings=one, results_dir=tmp_path / "there")
    there = [*variance_panels.panel_rows(made, variance_panels.train_panels(made, data), data)]
    there += variance_along(made, data)
    write_results(tmp_path / "variance_reduction.csv", there)
    trained = []
    train = belief_nets.train
    monkeypatch.setattr(
        belief_nets,
        "train",
        lambda s, *rest, **k: trained.append((s.layers, s.seeds)) or train(s, *rest, **k),
    )
    here = replace(run, keep=tmp_path, results_dir=tmp_path / "here")
    results = variance_panels.train_panels(here, data)
    assert trained == [((3,), (1,)), ((3, 2), (0, 1))]
    assert results.keys() == {Panel((3,), "quick"), Panel((3, 2), "quick")}
    rows = [*variance_panels.panel_rows(here, results, data), *variance_along(here, data)]
    assert [row for row in rows if row.dims == "3" and row.seed == 0] == there
    assert {row.settings_hash for row in rows} == expected_hashes(here.experiment, here.settings)
    assert len({row.settings_hash for row in there}) == 2  # a panel's do not depend on `variance_at`
    whole = variance_panels.panel_rows(run, variance_panels.train_panels(run, data), data)
    assert {_value(row) for row in whole} < {_value(row) for row in rows}
    write_results(tmp_path / "variance_reduction.csv", rows)
    assert variance_panels.train_panels(here, data) == {}
    assert sorted(variance_panels.panel_rows(here, {}, data)) == sorted(
        row for row in rows if not _along(row)
    )
    longer = replace(here, settings=replace(here.settings, updates=30), results_dir=tmp_path / "longer")
    assert variance_panels.train_panels(longer, data).keys() == set(results)


def _along(row: Row) -> bool:
    return row.metric.startswith("layer_")


def _value(row: Row) -> tuple[Any, ...]:
    return (row.dims, row.variant, row.seed, row.metric, row.split, row.updates, row.value, row.settings_hash)


def test_the_rates_of_tuned_curves_are_those_of_the_first_seeds_search(run: Run) -> None:
    def hashes(protocol: str, seeds: tuple[int, ...]) -> set[str]:
        settings = replace(run.settings, protocols=(protocol,), networks=((3,),), seeds=seeds)
        return expected_hashes(run.experiment, settings)

    assert len(hashes("tuned", (0, 1)) & hashes("tuned", (0, 2))) == 1
    assert hashes("tuned", (0,)) < hashes("tuned", (0, 1))
    assert not hashes("tuned", (0, 1)) & hashes("tuned", (1,))
    assert hashes("quick", (1,)) & hashes("quick", (0, 1))  # control: elsewhere seeds are on their own


def test_a_search_is_kept_with_the_first_seed_and_serves_the_others(
    run: Run, data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tuned(replace(run, results_dir=tmp_path / "there"))
    first = replace(both, settings=replace(both.settings, seeds=(0,)))
    rows = variance_panels.panel_rows(first, variance_panels.train_panels(first, data), data)
    third = f"rates x {1 / 3!r}"  # as if the first seed's search had found it best for one variant
    rows = [
        row._replace(value=0.0, note=third) if row.variant == "none" and "e+38" in row.note else row
        for row in rows
    ]
    write_results(tmp_path / "variance_reduction.csv", rows)
    both = replace(both, keep=tmp_path)
    asked = []
    monkeypatch.setattr(variance_panels, "search", lambda *_: asked.append(1))
    results = variance_panels.train_panels(both, data)
    more = variance_panels.panel_rows(both, results, data)
    searches = [[row for row in some if row.metric == SEARCH] for some in (rows, more)]
    assert searches[0] == searches[1] != []
    assert not asked  # later seeds learn at the rates that were found for the first
    settings = belief_nets.train_settings(
        run, (3,), PROTOCOLS["tuned"], variants=VARIANTS, seeds=(1,), rate_scale={"none": 1 / 3}
    )
    expected = belief_nets.train(settings, data, progress="off")
    assert torch.equal(results[Panel((3,), "tuned")].final.prior, expected.final.prior)


def test_a_panel_may_have_the_first_seed_alone(run: Run, data: MnistSplits) -> None:
    def seeds(*few: str) -> list[tuple[int, ...]]:
        cells = list(curve_cells(replace(run.settings, one_seed=few)))
        assert len({cell.panel for cell in cells}) == 2
        return [tuple(cell.seed for cell in cells if cell.layers == layers) for layers in ((3,), (3, 2))]

    assert seeds() == [(0, 1), (0, 1)]
    assert seeds("SBN 3", "SBN 2-3 literal") == seeds("SBN 3 quick") == [(0,), (0, 1)]
    assert seeds("quick") == [(0,), (0,)]
    part = replace(run, settings=replace(run.settings, one_seed=("SBN 3",), networks=((3,),)))
    assert list(curve_cells(part.settings)) == [Curves((3,), "quick", 0)]
    result = variance_panels.train_panels(part, data)[Panel((3,), "quick")]
    assert {each.seed for each in belief_nets.replicas(result)} == {0}
    for name in ("SBN", "tune", "SBN 3-", "fDARN 3", "SBN 3 quick ", "SBN 3", "SBN 200 literal", "tuned"):
        with pytest.raises(ParameterError, match="one_seed"):
            parameters({"profile": "smoke", "one_seed": [name]}, "variance_reduction")


def test_each_variant_trains_at_the_factor_that_its_search_found(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = dict(zip(VARIANTS, (1.0, 30.0, 3.0, 10.0, 1.0), strict=True))
    found = {variant: {factor: -1.0, 7.0: -2.0} for variant, factor in best.items()}
    monkeypatch.setattr(variance_panels, "search", lambda *_: found)
    result = variance_panels.train_panels(tuned(run), data)[Panel((3,), "tuned")]
    settings = belief_nets.train_settings(
        run, (3,), PROTOCOLS["tuned"], variants=VARIANTS, seeds=(0, 1), rate_scale=best
    )
    expected = belief_nets.train(settings, data, progress="off")
    assert torch.equal(result.final.prior, expected.final.prior)
    plain = belief_nets.train(replace(settings, rate_scale={}), data, progress="off")
    assert not torch.equal(result.final.prior, plain.final.prior)  # control
