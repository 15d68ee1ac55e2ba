"""What of Figure 1 is trained, what is kept, and the search of rates under "tuned"."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction import belief_nets
from nvil_repro.reproduction.cells import Curves, Panel, curve_cells, expected_hashes
from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.reproduction.variance_over_training import variance_along
from nvil_repro.reproduction.variance_views import search_table
from tests.reproduction import toy_figure

VARIANTS = ("full", "baseline_vn", "baseline", "vn", "none")


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    return toy_figure.data()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return toy_figure.run(tmp_path_factory.mktemp("results"))


def tuned(run: Run) -> Run:
    return replace(
        run, settings=replace(run.settings, protocols=("tuned",), networks=((3,),), factors=(1.0, 1e38))
    )


def test_rows_of_curves_and_of_variances_are_kept_and_only_the_rest_is_trained(
    run: Run, data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made apart, say on a GPU, they are those of the whole figure, seed by seed; another setting makes them others."""
    one = replace(run.settings, networks=((3,),), seeds=(0,))
    made = replace(run, settings=one, results_dir=tmp_path / "there")
    there = [*belief_nets.panel_rows(made, belief_nets.train_panels(made, data), data)]
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
    results = belief_nets.train_panels(here, data)
    assert trained == [((3,), (1,)), ((3, 2), (0, 1))]
    assert results.keys() == {Panel((3,), "quick"), Panel((3, 2), "quick")}
    rows = [*belief_nets.panel_rows(here, results, data), *variance_along(here, data)]
    assert [row for row in rows if row.dims == "3" and row.seed == 0] == there
    assert {row.settings_hash for row in rows} == expected_hashes(here.experiment, here.settings)
    assert len({row.settings_hash for row in there}) == 2  # a panel's do not depend on `variance_at`
    whole = belief_nets.panel_rows(run, belief_nets.train_panels(run, data), data)
    assert {_value(row) for row in whole} < {_value(row) for row in rows}
    write_results(tmp_path / "variance_reduction.csv", rows)
    assert belief_nets.train_panels(here, data) == {}
    assert sorted(belief_nets.panel_rows(here, {}, data)) == sorted(row for row in rows if not _along(row))
    longer = replace(here, settings=replace(here.settings, updates=30), results_dir=tmp_path / "longer")
    assert belief_nets.train_panels(longer, data).keys() == set(results)


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
    rows = belief_nets.panel_rows(first, belief_nets.train_panels(first, data), data)
    third = f"rates x {1 / 3!r}"  # as if the first seed's search had found it best for one variant
    rows = [
        row._replace(value=0.0, note=third) if row.variant == "none" and "e+38" in row.note else row
        for row in rows
    ]
    write_results(tmp_path / "variance_reduction.csv", rows)
    both = replace(both, keep=tmp_path)
    asked = []
    monkeypatch.setattr(belief_nets, "search", lambda *_: asked.append(1))
    results = belief_nets.train_panels(both, data)
    more = belief_nets.panel_rows(both, results, data)
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
    result = belief_nets.train_panels(part, data)[Panel((3,), "quick")]
    assert {each.seed for each in belief_nets.replicas(result)} == {0}
    for name in ("SBN", "tune", "SBN 3-", "fDARN 3", "SBN 3 quick ", "SBN 3", "SBN 200 literal", "tuned"):
        with pytest.raises(ParameterError, match="one_seed"):
            parameters({"profile": "smoke", "one_seed": [name]}, "variance_reduction")


def test_the_search_compares_each_variant_at_every_factor(run: Run, data: MnistSplits) -> None:
    found = belief_nets.search(tuned(run), (3,), data)
    assert set(found) == set(VARIANTS)
    assert all(by[1e38] < -1e30 for by in found.values())
    settings = belief_nets.train_settings(
        run, (3,), PROTOCOLS["literal"], variants=VARIANTS, seeds=(0,), updates=10
    )
    history = belief_nets.train(settings, data, progress="off").history
    ends = {r["variant"]: r["value"] for r in history if r["split"] == "valid" and r["updates"] == 10}
    assert {variant: by[1.0] for variant, by in found.items()} == ends


def test_the_search_is_in_the_rows_and_names_a_best_one_at_the_end(run: Run, data: MnistSplits) -> None:
    rows = list(belief_nets.search_rows(tuned(run), Panel((3,), "tuned"), data))
    assert len(rows) == 2 * len(VARIANTS)
    found = belief_nets.search(tuned(run), (3,), data)
    assert {(r.variant, r.note): r.value for r in rows} == {
        (v, f"rates x {f:g}"): value for v, by in found.items() for f, value in by.items()
    }
    table = search_table(rows)
    assert table.loc[("3", "vn"), 1.0] == found["vn"][1.0]
    assert set(table["best"]) == {"1, smallest tried"}
    assert search_table([]).empty
    assert belief_nets.search_in(rows) == found
    assert belief_nets.search_in([]) == {}


def test_each_variant_trains_at_the_factor_that_its_search_found(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = dict(zip(VARIANTS, (1.0, 30.0, 3.0, 10.0, 1.0), strict=True))
    found = {variant: {factor: -1.0, 7.0: -2.0} for variant, factor in best.items()}
    monkeypatch.setattr(belief_nets, "search", lambda *_: found)
    result = belief_nets.train_panels(tuned(run), data)[Panel((3,), "tuned")]
    settings = belief_nets.train_settings(
        run, (3,), PROTOCOLS["tuned"], variants=VARIANTS, seeds=(0, 1), rate_scale=best
    )
    expected = belief_nets.train(settings, data, progress="off")
    assert torch.equal(result.final.prior, expected.final.prior)
    plain = belief_nets.train(replace(settings, rate_scale={}), data, progress="off")
    assert not torch.equal(result.final.prior, plain.final.prior)  # control
