"""Criteria without a partition function: what lies between trainings and rows, on problems that train in a blink."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy
import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.data.small_patterns import bars_and_stripes, ring, ring_log_density
from nvil_repro.evaluation.exact_partition import exact_log_likelihood
from nvil_repro.learning.criteria import CRITERIA
from nvil_repro.models.rbm import RBM
from nvil_repro.models.unnormalised import energy_family
from nvil_repro.reproduction import (
    criteria_claims,
    criteria_figures,
    criteria_runs,
    criteria_spins,
    criteria_views,
)
from nvil_repro.reproduction.criteria_claims import NEIGHBOURS
from nvil_repro.reproduction.criteria_gradients import machines
from nvil_repro.reproduction.criteria_rows import BEST, REACHED, TRUTH, at_its_best, rows_of
from nvil_repro.reproduction.criteria_runs import MNIST, PATTERNS, PLANE, Cell, Data
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.naming import WITHOUT_Z
from nvil_repro.reproduction.notebook import ParameterError, Run, parameters
from nvil_repro.reproduction.results import Row
from nvil_repro.training.together import train_together
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import Start

CHOSEN = ["exact", "CD1", "PCD", "pseudolikelihood", "generalised pseudolikelihood"]
RATES = [0.01, 0.1]


def start(folder: Any, **changes: Any) -> Run:
    sizes = {
        "criteria": CHOSEN,
        "pattern_hidden": 2,
        "pattern_updates": 10,
        "pattern_rates": RATES,
        "draws": 3,
    }
    large = {"mnist_criteria": ["PCD", "pseudolikelihood"], "hidden": 3, "mnist_rates": [0.01], "units": 4}
    annealing = {"chains": 5, "rungs": 10, "test_cases": 40, "reverse_cases": 5}
    values = sizes | large | annealing | {"pattern_seeds": [0, 1], "evaluations": 1} | changes
    return parameters({"profile": "smoke", **values, "results_dir": str(folder)}, "without_partition")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def data() -> Data:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(220, 12, generator=generator) < torch.rand(12, generator=generator)).to(torch.uint8)
    mnist = MnistSplits(bits[:120], bits[120:180], bits[180:], "mnist-toy")
    return Data(bars_and_stripes(2, copies=8), ring(120), mnist)


@pytest.fixture(scope="module")
def trained(run: Run, data: Data) -> Iterator[dict[Cell, Measured]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(criteria_runs, "train_together", partial(train_together, workers=1, progress="off"))
        patch.setattr(criteria_runs, "POINTS", 2)
        patch.setattr(UnnormalisedSettings, "has_kernel", False)
        yield criteria_runs.train_all(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, trained: dict[Cell, Measured], data: Data) -> list[Row]:
    return list(rows_of(run, trained, data))


def test_every_criterion_is_trained_at_every_rate(trained: dict[Cell, Measured]) -> None:
    cells = {(cell.part, cell.criterion, cell.rate, len(cell.seeds)) for cell in trained}
    reals = criteria_runs.REAL_CRITERIA
    assert cells == {
        *((PATTERNS, name, rate, 2) for name in CHOSEN for rate in RATES),
        *((PLANE, name, rate, 2) for name in reals for rate in RATES),
        *((MNIST, name, 0.01, 1) for name in ("PCD", "pseudolikelihood")),
    }


def test_names_without_z_are_those_of_the_criteria() -> None:
    assert {criteria_runs.identifier(name) for name in WITHOUT_Z} == set(CRITERIA)


def test_what_was_reached_is_exact_and_of_the_end(
    rows: list[Row], trained: dict[Cell, Measured], data: Data
) -> None:
    net = trained[Cell(PATTERNS, "CD1", 0.1, (0, 1))].result.final
    exact = exact_log_likelihood(RBM, net, data.patterns.valid).mean(-1)
    key = ("CD1", "Adam 0.1", REACHED)
    found = {r.seed: r.value for r in rows if (r.method, r.protocol, r.metric) == key}
    assert found == pytest.approx({0: exact[0].item(), 1: exact[1].item()}, abs=1e-6)
    assert found[0] != found[1]  # control


def test_no_small_machine_exceeds_the_truth(rows: list[Row], data: Data) -> None:
    best = {r.model + r.dataset: r.value for r in rows if r.metric == BEST}
    assert best[TRUTH + data.patterns.dataset] == data.patterns.best
    assert best[TRUTH + data.plane.dataset] == ring_log_density(data.plane.valid).mean().item()
    assert all(r.value < data.patterns.best for r in rows if r.metric == REACHED and r.model == "RBM")


def test_gradients_are_measured_along_the_way(
    rows: list[Row], trained: dict[Cell, Measured], data: Data
) -> None:
    cosine = {(r.method, r.variant): r.value for r in rows if r.metric == "gradient_cosine"}
    assert {name for name, _ in cosine} == set(CHOSEN)
    assert cosine["exact", "0.5"] == pytest.approx(1)
    assert cosine["PCD", "1"] == pytest.approx(1)
    assert cosine["pseudolikelihood", "1"] < 0.9999
    best = trained[at_its_best(trained)[PATTERNS, "exact"]].result
    ways = dict(machines(best, data.patterns))
    assert torch.equal(ways[1.0].weight[0], best.final.weight[0])
    assert not torch.equal(ways[0.25].weight[0], best.final.weight[0])  # control


def test_tables_show_each_criterion_at_its_best(rows: list[Row]) -> None:
    table = criteria_views.pattern_table(rows)
    assert set(table.index) == set(CHOSEN)
    assert table["log-likelihood"].is_monotonic_decreasing
    ends = [r for r in rows if (r.method, r.metric, r.model) == ("exact", REACHED, "RBM")]
    means = [sum(r.value for r in ends if r.protocol == f"Adam {rate:g}") / 2 for rate in RATES]
    assert table.loc["exact", "log-likelihood"] == pytest.approx(max(means))
    assert min(means) < max(means)  # control
    assert table.loc["exact", "cosine"] == pytest.approx(1)
    reals = criteria_views.small_table(rows, criteria_views.ON_PLANE)
    assert set(reals.index) == set(criteria_runs.REAL_CRITERIA)


def test_mnist_has_its_bracket(rows: list[Row], run: Run) -> None:
    table = criteria_views.mnist_table(rows)
    assert list(table.columns) == ["middle", "AIS", "reverse", "RAISE", "minutes", "chosen"]
    assert list(table.index) == [("PCD", "Adam 0.01"), ("pseudolikelihood", "Adam 0.01")]
    assert {r.n for r in rows if r.split == "test" and not r.variant and r.metric == "log_likelihood"} == {
        run.settings.test_cases
    }


def test_the_rate_is_chosen_by_validation_at_the_end_and_not_on_test_cases(row: Callable[..., Row]) -> None:
    def ended(rate: str, valid: float, test: float, seed: int = 0) -> list[Row]:
        shared: Any = {"method": "PCD", "metric": "log_likelihood", "protocol": f"Adam {rate}", "seed": seed}
        return [
            row(split="valid", updates=10, value=-1.0, **shared),
            row(split="valid", updates=20, value=valid, **shared),
            row(split="test", variant="", value=test, **shared),
        ]

    rows = [*ended("0.003", -6, -8), *ended("0.01", -5, -9), *ended("0.1", -7, -7)]
    assert criteria_views.mnist_chosen(rows) == {"PCD": "Adam 0.01"}
    assert criteria_views.mnist_table(rows)["chosen"].to_list() == ["", "yes", ""]
    rows += ended("0.01", math.nan, math.nan, seed=1)  # one of its seeds diverges
    table = criteria_views.mnist_table(rows)
    assert table["chosen"].to_list() == ["yes, edge", "", ""]
    assert table["middle"].to_list() == [-8, -math.inf, -7]


def test_spins_in_fours_learn_what_pairs_do_not() -> None:
    lone = energy_family("spins", criteria_spins.log_unnormalised, visible=criteria_spins.UNITS)
    patterns = bars_and_stripes(criteria_runs.SIDE, copies=4)
    table = criteria_spins.by_flow(Start(lone, criteria_spins.uncoupled()), patterns, updates=60)
    assert list(table.columns) == [0, 30, 60, "the data's own"]
    assert table.loc["spins", 0] == pytest.approx(-criteria_spins.UNITS * math.log(2))
    assert table.loc["Boltzmann", 60] < table.loc["spins", 60] < patterns.best


def test_the_energy_of_spins_is_the_sum_over_pairs_and_squares() -> None:
    x = torch.rand(1, 3, criteria_spins.UNITS, generator=torch.Generator().manual_seed(2)).round()
    pairs, squares = torch.zeros(1, len(criteria_spins.PAIRS)), torch.zeros(1, len(criteria_spins.SQUARES))
    pairs[0, 1], squares[0, -1] = 2.0, 3.0  # of units 0 and 2; of 10, 11, 14 and 15
    s = 2 * x[0] - 1
    expected = 2 * s[:, 0] * s[:, 2] + 3 * s[:, 10] * s[:, 11] * s[:, 14] * s[:, 15]
    found = criteria_spins.log_unnormalised(criteria_spins.Spins(pairs, squares), x)
    assert found.tolist() == [expected.tolist()]


def test_a_diverged_machine_is_a_row_of_nan(run: Run, trained: dict[Cell, Measured], data: Data) -> None:
    lost = Cell(MNIST, "pseudolikelihood", 0.01, (0,))
    result = trained[lost].result
    wild = Measured(result.__class__(**{**result.__dict__, "diverged": {0: 7}}), {})
    exact = {cell: measured for cell, measured in trained.items() if cell.criterion == "exact"}
    found = [r for r in rows_of(run, exact | {lost: wild}, data) if r.split == "test"]
    assert [(math.isnan(r.value), r.note) for r in found] == [(True, "diverged at update 7")]


def test_only_criteria_that_can_be_summed_are_taken(run: Run) -> None:
    for wrong in (["CD1"], ["exact", "naive"], ["exact", "score matching"]):
        with pytest.raises(ParameterError, match="criteria"):
            start(run.results_dir, criteria=wrong)


@pytest.fixture
def claimed(row: Callable[..., Row], data: Data) -> Callable[..., list[Row]]:
    def make(**changes: Any) -> list[Row]:
        small: Any = {"metric": REACHED, "split": "valid", "protocol": "Adam 0.1"}
        large: Any = {"metric": "log_likelihood", "split": "test", "protocol": "Adam 0.1", "variant": ""}
        bits, points = data.patterns, data.plane
        values = {"bits": -2.0, "reals": -1.0, "PCD": -4.0, "ratio matching": -5.0} | changes
        made = [
            row(dataset=bits.dataset, model=TRUTH, metric=BEST, value=bits.best),
            row(dataset=points.dataset, model=TRUTH, metric=BEST, value=-0.4),
            row(dataset=bits.dataset, model="RBM", method="exact", value=values["bits"], **small),
            row(dataset=points.dataset, model="Gaussian RBM", method="exact", value=values["reals"], **small),
            *(
                row(method=name, value=values[name], **large | {"split": split})
                for name in ("PCD", "ratio matching")
                for split in ("valid", "test")
            ),
        ]
        cosine, noise = changes.get("cosine", 0.8), {"PCD": 2.0} | changes.get("noise", {})
        for name in ("PCD", *NEIGHBOURS):
            for way in ("0.5", "1"):
                shared: Any = {"method": name, "variant": way, "split": "train"}
                made.append(row(metric="gradient_cosine", value=cosine, **shared))
                made.append(row(metric="gradient_noise", value=noise.get(name, 1.0), **shared))
        return made

    return make


def test_claims_that_hold_are_told(claimed: Callable[..., list[Row]], run: Run, data: Data) -> None:
    told = criteria_claims.require_claims(claimed(), run, data).splitlines()
    assert len(told) == 2 + 2 + 2 * len(NEIGHBOURS) + 1
    assert told[-1] == "MNIST: PCD above ratio matching: -4 and -5"


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"bits": -3.0}, "exact, RBM on a small problem, above independent units"),
        ({"bits": math.nan}, "exact, RBM on a small problem, above independent units"),
        ({"reals": -3.0}, "exact, Gaussian RBM on a small problem"),
        ({"ratio matching": -60.0}, "ratio matching on MNIST above independent pixels"),
        ({"ratio matching": -3.0}, "PCD above ratio matching"),
        ({"cosine": 1.0}, "pseudolikelihood: gradient not along"),
        (
            {"noise": {"ratio matching": 2.5}},
            "ratio matching: noise beside the gradient's length below PCD's",
        ),
    ],
)
def test_a_claim_that_does_not_hold_is_named(
    claimed: Callable[..., list[Row]], run: Run, data: Data, changes: Any, claim: str
) -> None:
    with pytest.raises(AssertionError, match=claim):
        criteria_claims.require_claims(claimed(**changes), run, data)


@pytest.mark.usefixtures("drawing")
def test_figures_say_what_the_rows_say(rows: list[Row], trained: dict[Cell, Measured]) -> None:
    left, right = criteria_figures.pattern_curves(rows).axes
    labels = [line.get_label() for line in left.lines if not str(line.get_label()).startswith("_")]
    assert labels == [criteria_figures.CRITERIA[name].label for name in CHOSEN]
    table = criteria_views.pattern_table(rows)
    assert numpy.asarray(left.lines[0].get_ydata())[-1] == pytest.approx(table.loc["exact", "log-likelihood"])
    assert right.get_xlabel() == "seconds of training, one thread"
    angles = criteria_figures.gradients(rows).axes[0]
    assert angles.lines[0].get_ydata() == pytest.approx([1, 1, 1, 1])
    plane = criteria_figures.densities(trained, rows).axes
    assert plane[0].get_title().startswith(TRUTH)
    assert len(plane) == len(criteria_runs.REAL_CRITERIA) + 2  # the truth and the scale
    assert criteria_figures.mnist_curves(rows).axes[1].get_xlabel().startswith("minutes")
    looks = {stroke[1:] for stroke in criteria_figures.CRITERIA.values()}
    assert len(looks) == len(criteria_figures.CRITERIA)
