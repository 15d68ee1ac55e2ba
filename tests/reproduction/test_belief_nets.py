"""What lies between a trained net and a row, on nets small enough to enumerate."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.exact import exact_log_likelihood
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.nvil import stack_ingredients
from nvil_repro.models.belief_net import belief_net
from nvil_repro.reproduction import belief_nets
from nvil_repro.reproduction.cells import Curves, Panel, curve_cells, expected_hashes
from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row, write_results
from nvil_repro.reproduction.variance_over_training import trajectory, variance_along
from nvil_repro.reproduction.variance_views import search_table
from nvil_repro.trees import replica

VARIANTS = ("full", "baseline_vn", "baseline", "vn", "none")


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(140, 30, generator=generator) < torch.rand(30, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    chosen: dict[str, Any] = {"networks": [[3], [3, 2]], "protocols": ["quick"], "seeds": [0, 1]}
    sizes = {"updates": 20, "eval_every": 10, "search_updates": 10, "test_cases": 40, "gradient_samples": 5}
    folder = str(tmp_path_factory.mktemp("results"))
    return parameters({"profile": "smoke", **chosen, **sizes, "results_dir": folder}, "variance_reduction")


@pytest.fixture(scope="module")
def results(run: Run, data: MnistSplits) -> dict[Panel, belief_nets.Result]:
    return belief_nets.train_panels(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, results: dict[Panel, belief_nets.Result], data: MnistSplits) -> list[Row]:
    return belief_nets.panel_rows(run, results, data)


def test_every_panel_variant_and_seed_has_its_rows(rows: list[Row]) -> None:
    assert {(r.dims, r.protocol) for r in rows} == {("3", "quick"), ("2-3", "quick")}
    curve = [r for r in rows if r.dims == "3" and r.split == "valid" and r.metric == "bound"]
    assert sorted((r.variant, r.seed, r.updates) for r in curve) == sorted(
        (v, s, u) for v in VARIANTS for s in (0, 1) for u in (0, 10, 20)
    )
    tests = [r for r in rows if r.split == "test"]
    assert len(tests) == 2 * 2
    assert {(r.metric, r.variant, r.n) for r in tests} == {("bound", "full", 40)}


def test_a_test_row_is_the_bound_of_that_replica(
    rows: list[Row], results: dict[Panel, belief_nets.Result], data: MnistSplits
) -> None:
    result = results[Panel((3, 2), "quick")]
    names = [(each.variant, each.seed) for each in belief_nets.replicas(result)]
    net = replica(result.best.net, names.index(("full", 1)))
    expected = estimate_bound(net, data.test, samples=10, seed=1, name="test")
    found = {(r.variant, r.seed): r for r in rows if r.dims == "2-3" and r.split == "test"}
    assert (found["full", 1].value, found["full", 1].stderr) == (
        expected.value.item(),
        expected.stderr.item(),
    )
    assert found["full", 0].value != expected.value.item()  # control


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


def test_a_diverged_replica_is_a_row_of_nan(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = PROTOCOLS["quick"]._replace(rate=1e38, inference_rate=1e38)
    monkeypatch.setitem(PROTOCOLS, "quick", wild)
    settings = belief_nets.train_settings(run, (3,), wild, seeds=(0,))
    result = belief_nets.train(settings, data, progress="off")
    row = next(belief_nets.bound_rows(run, result, data, (3,), "quick"))
    assert math.isnan(row.value)
    assert row.note.startswith("diverged at update ")
    assert list(belief_nets.variance_rows(run, result, data, (3,), "quick")) == []


def test_independent_pixels_are_a_net_without_weights(data: MnistSplits) -> None:
    p = (data.train.sum(0, dtype=torch.float64) + 1) / (len(data.train) + 2)
    net = belief_net(30, (2,), [0], train_mean=p, scale=0.0, dtype=torch.float64)
    net.generative[0].bias.copy_(p.logit())
    exact = exact_log_likelihood(net, data.test).mean().item()
    assert belief_nets.independent_pixels(data.train, data.test) == pytest.approx(exact, abs=1e-12)
    assert belief_nets.independent_pixels(data.test, data.test) != pytest.approx(exact, abs=1e-3)  # control


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


def test_rows_say_on_what_device_their_nets_were_trained(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    result = belief_nets.train_panels(run, data)[Panel((3,), "quick")]
    monkeypatch.setattr(belief_nets, "train", lambda s, *_, **__: asked.append(s.device) or result)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    there = replace(run, device="cuda")
    rows = belief_nets.panel_rows(there, belief_nets.train_panels(there, data), data)
    assert (set(asked), {row.device for row in rows}) == ({"cuda"}, {"cuda (a GPU)"})
    assert all(row.device.startswith("cpu (") for row in variance_along(there, data))


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


def test_variances_along_a_training_that_diverged_are_rows_of_nan(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the figure's other rows are not lost."""
    wild = PROTOCOLS["quick"]._replace(rate=1e38, inference_rate=1e38)
    monkeypatch.setitem(PROTOCOLS, "quick", wild)
    along = replace(run, settings=replace(run.settings, networks=((3,),), variance_at=(0, 50), updates=60))
    rows = list(variance_along(along, data))
    assert [math.isnan(row.value) for row in rows] == [False] * len(VARIANTS) + [True] * len(VARIANTS)
    assert rows[-1].note == "the full method diverged before update 50"


def test_first_layer_is_a_picture_a_unit(run: Run, results: dict[Panel, belief_nets.Result]) -> None:
    result = results[Panel((3,), "quick")]
    assert belief_nets.first_layer(result.best.net).shape == (3, 30)
    assert Path(run.results_dir).is_dir()


def test_a_trajectory_is_the_run_as_it_was_then(run: Run, data: MnistSplits) -> None:
    settings = belief_nets.train_settings(run, (3, 2), PROTOCOLS["quick"], seeds=(1,))
    nets = {at: net.prior.clone() for at, net in trajectory(settings, data, (0, 10, 20))}
    for at in (10, 20):
        assert torch.equal(
            nets[at], belief_nets.train(replace(settings, updates=at), data, progress="off").final.prior
        )
    assert not torch.equal(nets[10], nets[20])  # control


def test_variance_along_training_is_measured_layer_by_layer(run: Run, data: MnistSplits) -> None:
    along = replace(run, settings=replace(run.settings, variance_at=(0, 50), updates=60))
    rows = list(variance_along(along, data))
    often = replace(along, settings=replace(along.settings, eval_every=6))  # the figure's business alone
    assert list(variance_along(often, data)) == rows
    assert len(rows) == 2 * (1 + 2) * len(VARIANTS)  # points, layers of both networks, variants
    last = {(r.metric, r.variant): r for r in rows if (r.dims, r.updates) == ("2-3", 50)}
    settings = belief_nets.train_settings(along, (3, 2), PROTOCOLS["quick"], seeds=(0,), eval_every=50)
    ((_, net),) = trajectory(settings, data, [50])
    x, ingredients = data.valid[:20], stack_ingredients(VARIANTS)
    state = settled_state(net, x, ingredients, seed=0)
    measured = gradient_variance(net, x, state, ingredients, draws=5, seed=0)
    found = last["layer_1_gradient_variance", "vn"]
    place = VARIANTS.index("vn")
    assert found.value == pytest.approx((measured.trace * measured.scale**2)[0, place].item())
    assert found.value != pytest.approx(measured.trace[0, place].item())  # control: the divisor is not one
    assert found.value == pytest.approx(last["layer_1_gradient_variance", "none"].value, rel=1e-4)
