"""What lies between modules and rows, on data small enough to train in a blink."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import matplotlib
import pytest
import torch
from matplotlib import pyplot

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.general_bounds import bound_of, general_weights
from nvil_repro.learning.estimators import ESTIMATORS
from nvil_repro.learning.nvil import VARIANTS
from nvil_repro.reproduction import continuous, continuous_claims, continuous_figures
from nvil_repro.reproduction.continuous import DEEP, GAUSSIAN, LINEAR, Cell, Trained
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.results import Row
from nvil_repro.training.together import train_together

CHOSEN = ("full", "none", "pathwise")


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(140, 30, generator=generator) < torch.rand(30, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    nets = {"gaussian_units": 2, "binary_units": 3, "hidden": [5, 4], "decoder": [4], "estimators": [*CHOSEN]}
    sizes = {"updates": 20, "batch": 10, "eval_every": 10, "seeds": [0, 1], "test_cases": 40}
    samples = {"gradient_samples": 5, "importance_samples": 7, "importance_cases": 6}
    folder = str(tmp_path_factory.mktemp("results"))
    return parameters(
        {"profile": "smoke", **nets, **sizes, **samples, "results_dir": folder}, "continuous_latents"
    )


@pytest.fixture(scope="module")
def nets(run: Run, data: MnistSplits) -> Iterator[dict[Cell, Trained]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuous, "train_together", partial(train_together, workers=1, progress="off"))
        yield continuous.train_nets(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, nets: dict[Cell, Trained], data: MnistSplits) -> list[Row]:
    return continuous.rows_of(run, nets, data)


def test_every_net_has_its_rows(rows: list[Row]) -> None:
    cells = [(GAUSSIAN, name) for name in CHOSEN] + [(LINEAR, "full"), (DEEP, "full")]
    curve = [r for r in rows if (r.split, r.metric) == ("valid", "bound")]
    assert sorted((r.model, r.variant, r.seed, r.updates) for r in curve) == sorted(
        (*cell, seed, update) for cell in cells for seed in (0, 1) for update in (0, 10, 20)
    )
    tests = [(r.model, r.variant, r.metric) for r in rows if r.split == "test" and r.seed == 0]
    assert sorted(tests) == sorted(
        (*cell, metric) for cell in cells for metric in ("bound", "importance_weighted")
    )
    assert {r.method for r in rows if r.variant == "pathwise"} == {"reparameterisation"}
    assert {r.dims for r in rows} == {"2", "3"}


def test_a_seeds_nets_start_alike(rows: list[Row]) -> None:
    start = {(r.variant, r.seed): r.value for r in rows if r.model == GAUSSIAN and r.updates == 0}
    assert start["full", 0] == start["none", 0] == start["pathwise", 0] != start["full", 1]


def test_a_test_row_is_the_bound_of_that_net(
    rows: list[Row], nets: dict[Cell, Trained], data: MnistSplits
) -> None:
    weights = general_weights(nets[Cell(DEEP, "full", 1)].nets, data.test, 10, seed=1, name="test")
    found = {r.seed: r for r in rows if (r.model, r.split, r.metric) == (DEEP, "test", "bound")}
    assert found[1].value == bound_of(weights).value.item()
    assert found[0].value != found[1].value  # control


def test_the_path_is_measured_where_it_exists(rows: list[Row]) -> None:
    measured = {
        model: {r.variant for r in rows if r.model == model and r.metric == "gradient_variance"}
        for model in (GAUSSIAN, LINEAR, DEEP)
    }
    assert measured == {GAUSSIAN: set(ESTIMATORS), LINEAR: set(VARIANTS), DEEP: set(VARIANTS)}
    one = {r.variant: r.value for r in rows if (r.model, r.seed, r.metric) == (DEEP, 0, "gradient_variance")}
    assert one["baseline_vn"] == pytest.approx(one["baseline"], rel=1e-4)  # the divisor is undone
    assert one["none"] > 1.5 * one["baseline"]  # control


def test_a_diverged_net_is_a_row_of_nan(run: Run, nets: dict[Cell, Trained], data: MnistSplits) -> None:
    cell = Cell(GAUSSIAN, "full", 0)
    result, modules = nets[cell]
    wild = Trained(result.__class__(**{**result.__dict__, "diverged": {0: 7}}), modules)
    (row,) = [r for r in continuous.rows_of(run, {cell: wild}, data) if r.split == "test"]
    assert math.isnan(row.value)
    assert row.note == "diverged at update 7"


BOUNDS = {"full": -120.0, "none": -220.0, "pathwise": -105.0}
NOISE = {"full": 1e8, "none": 1e10, "pathwise": 1e6}


@pytest.fixture
def claimed(row: Callable[..., Row]) -> Callable[..., list[Row]]:
    def make(**changes: Any) -> list[Row]:
        bounds, noise = BOUNDS | changes.get("bounds", {}), NOISE | changes.get("noise", {})
        made = [row(model=GAUSSIAN, variant=name, value=value) for name, value in bounds.items()]
        made.append(row(model=DEEP, variant="full", value=changes.get("deep", -110.0)))
        shared: Any = {"model": GAUSSIAN, "metric": "gradient_variance", "split": "valid"}
        return made + [row(variant=name, value=value, **shared) for name, value in noise.items()]

    return make


def test_claims_that_hold_are_told(claimed: Callable[..., list[Row]]) -> None:
    told = continuous_claims.require_claims(claimed(), -205.0).splitlines()
    assert len(told) == 6
    assert told[2] == f"{GAUSSIAN}: bound, pathwise above full: -105 and -120"
    diverged = continuous_claims.require_claims(claimed(bounds={"none": math.nan}), -205.0).splitlines()
    assert diverged[3] == f"{GAUSSIAN}: bound, full above none: -120 and -inf"


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"bounds": {"full": -190.0}}, "NVIL above independent pixels"),
        ({"deep": -190.0}, "bits, deep Q: NVIL above independent pixels"),
        ({"bounds": {"pathwise": -121.0}}, "bound, pathwise above full"),
        ({"bounds": {"none": -119.0}}, "bound, full above none"),
        ({"noise": {"full": 1e5}}, "variance, full above pathwise"),
        ({"noise": {"none": 1e7}}, "variance, none above full"),
        ({"bounds": {"full": math.nan}}, "NVIL above independent pixels"),
    ],
)
def test_a_claim_that_does_not_hold_is_named(
    claimed: Callable[..., list[Row]], changes: Any, claim: str
) -> None:
    with pytest.raises(AssertionError, match=claim):
        continuous_claims.require_claims(claimed(**changes), -205.0)


def test_figures_say_what_the_rows_say(rows: list[Row]) -> None:
    matplotlib.use("agg")
    left, right = continuous_figures.curves(rows, bottom=-1e9).axes
    assert (left.get_title(), right.get_title()) == ("2 Gaussian latents", "3 bits")
    assert [line.get_label() for line in right.lines] == ["NVIL, linear Q", "NVIL, deep Q"]
    values = [
        r.value for r in rows if (r.model, r.variant, r.split, r.updates) == (GAUSSIAN, "full", "valid", 20)
    ]
    bound = [r.value for r in rows if r.metric == "bound" and r.value in values]
    assert left.lines[0].get_ydata()[-1] == pytest.approx(sum(bound) / 2)
    panels = continuous_figures.variances(rows).axes
    assert [axes.get_title() for axes in panels] == [GAUSSIAN, LINEAR, DEEP]
    assert [len(axes.texts) for axes in panels] == [0, 2, 2]  # where there is no path, that is said
    strokes = [*continuous_figures.ALL.values()]
    for part in ("label", "colour", "dashes", "marker"):
        assert len({getattr(stroke, part) for stroke in strokes}) == len(strokes)
    pyplot.close("all")


def test_drawn_images_are_probabilities_of_both(run: Run, nets: dict[Cell, Trained]) -> None:
    images = continuous.drawn(nets, run, cases=4)
    assert images.shape == (8, 30)
    assert ((images > 0) & (images < 1)).all()
    assert not torch.equal(images[:4], images[4:])
    alone = {cell: net for cell, net in nets.items() if cell.estimator != "pathwise"}
    assert torch.equal(continuous.drawn(alone, run, cases=4), images[:4])
