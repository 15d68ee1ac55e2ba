"""What lies between machines and rows in `rbm_training`, on data small enough to train in a blink."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.data.small_patterns import bars_and_stripes
from nvil_repro.evaluation.exact_partition import exact_log_likelihood, state_probabilities
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.reproduction import (
    rbm_figures,
    rbm_line,
    rbm_patterns,
    rbm_spurious,
    rbm_training,
)
from nvil_repro.reproduction.measurements import Measured, train_and_measure
from nvil_repro.reproduction.naming import MACHINE
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.rbm_measurements import Likelihood
from nvil_repro.reproduction.rbm_patterns import Trained
from nvil_repro.reproduction.rbm_systems import mnist_settings, sampler_settings
from nvil_repro.reproduction.rbm_training import TOP, Cell
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.style import SAMPLER_STROKES
from nvil_repro.training.together import train_together

SAMPLERS = ("exact", "CD1", "PCD")


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(280, 30, generator=generator) < torch.rand(30, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:200], bits[200:240], bits[240:], "mnist-toy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    patterns = {
        "pattern_samplers": [*SAMPLERS],
        "pattern_hidden": 3,
        "pattern_updates": 50,
        "pattern_seeds": [0, 1],
    }
    nets = {"samplers": ["CD1", "centred PCD"], "hidden": 21, "exact_hidden": 3, "top_units": 4, "seeds": [0]}
    sizes = {"passes": 50, "top_passes": 50, "evaluations": 2, "chains": 20, "rungs": 30}
    folder = str(tmp_path_factory.mktemp("results"))
    cases = {"test_cases": 40, "reverse_cases": 10}
    return parameters(
        {"profile": "smoke", **patterns, **nets, **sizes, **cases, "results_dir": folder}, "rbm_training"
    )


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Everything trains in this process, quietly, on the road that compiles nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (rbm_patterns, rbm_training):
            patch.setattr(module, "train_together", partial(train_together, workers=1, progress="off"))
        slow = partial(sampler_settings, engine="torch")
        patch.setattr(rbm_patterns, "sampler_settings", slow)
        patch.setattr(rbm_spurious, "sampler_settings", slow)
        patch.setattr("nvil_repro.reproduction.rbm_systems.sampler_settings", slow)
        yield


@pytest.fixture(scope="module")
def trained(run: Run) -> dict[str, Trained]:
    return rbm_patterns.train_patterns(run)


@pytest.fixture(scope="module")
def nets(run: Run, data: MnistSplits) -> dict[Cell, Measured]:
    return rbm_training.train_machines(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, trained: dict[str, Trained], nets: dict[Cell, Measured], data: MnistSplits) -> list[Row]:
    return [*rbm_patterns.pattern_rows(run, trained), *rbm_training.machine_rows(run, nets, data)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exact", ("exact", 1, False, False, 1)),
        ("naive", ("naive", 10, False, False, 1)),
        ("CD1", ("cd", 1, False, False, 1)),
        ("CD3", ("cd", 3, False, False, 1)),
        ("CD25", ("cd", 25, True, False, 1)),
        ("PCD", ("pcd", 1, False, False, 1)),
        ("FPCD", ("fpcd", 1, False, False, 1)),
        ("centred PCD", ("pcd", 1, False, True, 1)),
        ("tempered PCD", ("pcd", 1, False, False, 5)),
    ],
)
def test_a_name_says_how_a_machine_is_trained(name: str, expected: tuple[Any, ...]) -> None:
    s = sampler_settings(name)
    assert (s.criterion, s.steps, s.growing, s.centred, s.temperatures) == expected


def test_notebooks_that_ask_for_the_same_machine_get_the_same_training() -> None:
    same: dict[str, Any] = {"hidden": 20, "passes": 2, "evaluations": 4, "seed": 0, "cases": 59_900}
    s = mnist_settings("PCD", **same)
    assert s == mnist_settings("PCD", **same)
    assert (s.updates, s.eval_every, s.chunk, s.rungs) == (1_200, 300, 300, 200)
    assert s.hash != mnist_settings("CD1", **same).hash


def test_a_name_may_say_how_long_a_machine_is_trained() -> None:
    same: dict[str, Any] = {"hidden": 20, "evaluations": 4, "seed": 0, "cases": 59_900}
    longer = mnist_settings("centred PCD, 200 passes", passes=2, **same)
    assert longer == mnist_settings("centred PCD", passes=200, **same)
    assert longer.updates == 119_800 // 50 * 50
    assert longer != mnist_settings("centred PCD", passes=2, **same)  # control
    assert re.fullmatch(MACHINE, "CD25, 3 passes")
    for wrong in ("CD25, 0 passes", "CD25, passes", "CD25 3 passes", "CD0, 3 passes"):
        assert not re.fullmatch(MACHINE, wrong)


def test_moments_on_the_line_end_without_a_gradient() -> None:
    seen = list(rbm_line.moments(20))
    assert [m.update for m in seen] == rbm_line.looks(20)
    assert (seen[0].update, seen[-1].update) == (0, 20)
    for m in seen:
        assert m.data.sum().item() == pytest.approx(1, abs=1e-12)
        assert m.model.sum().item() == pytest.approx(1, abs=1e-9)
    assert seen[-1].divergence < seen[0].divergence
    assert seen[-1].gradient < seen[0].gradient


def test_pattern_rows_are_exact(rows: list[Row], trained: dict[str, Trained]) -> None:
    patterns = bars_and_stripes(rbm_patterns.SIDE)
    likelihood = exact_log_likelihood(RBM, trained["CD1"].final, patterns.train).mean(-1)
    p = state_probabilities(RBM, trained["CD1"].final)
    known = (patterns.patterns.long() << torch.arange(16)).sum(-1)
    off = 1 - p[:, known].sum(-1)
    for seed in (0, 1):
        mine = [r for r in rows if (r.split, r.method, r.seed) == ("train", "CD1", seed)]
        last = max((r for r in mine if r.metric == "log_likelihood"), key=lambda r: r.updates or 0)
        assert last.value == pytest.approx(likelihood[seed].item(), abs=1e-5)
        (beyond,) = (r for r in mine if r.metric == "mass_beyond_0")
        assert beyond.value == pytest.approx(off[seed].item(), abs=1e-9)
    assert likelihood[0] != likelihood[1]  # control


def test_negative_phases_start_alike_and_part(rows: list[Row]) -> None:
    curves = {
        (r.method, r.updates): r.value
        for r in rows
        if (r.split, r.metric, r.seed) == ("train", "log_likelihood", 0)
    }
    assert len({curves[name, 0] for name in SAMPLERS}) == 1
    assert len({curves[name, 50] for name in SAMPLERS}) == 3


def test_wrong_modes_are_peaks_that_are_no_pattern() -> None:
    pattern, other = torch.tensor([1, 1, 0, 0, 0]), torch.tensor([0, 0, 0, 1, 1])
    # Two hidden units, each of which pulls towards one state.
    weight = torch.stack([2.0 * pattern - 1, 2.0 * other - 1], -1).double() * 6
    theta = Rbm(weight[None], torch.zeros(1, 5).double(), torch.tensor([[-10.0, -11.0]]).double())
    (found,) = rbm_patterns.wrong_modes(theta, pattern[None].to(torch.uint8), 5)
    assert found.state.tolist() == other.tolist()
    assert 0.0 < found.probability < 0.5
    both = torch.stack([pattern, other]).to(torch.uint8)
    assert rbm_patterns.wrong_modes(theta, both, 5) == []  # control


def test_the_planted_mode_is_one_factor_of_the_density() -> None:
    """p*(x) with the unit over p*(x) without it, and what the whole neighbourhood weighs."""
    theta, y = rbm_spurious.planted(3, (0,)), rbm_spurious.chessboard()
    bare = Rbm(theta.weight[..., :-1], theta.visible_bias, theta.hidden_bias[..., :-1])
    patterns = bars_and_stripes(rbm_patterns.SIDE).patterns
    assert (patterns != y).sum(-1).unique().tolist() == [8]
    for x, away in ((y.float(), 0), (patterns[0].float(), 8)):
        ratio = RBM.log_unnormalised(theta, x[None, None]) - RBM.log_unnormalised(bare, x[None, None])
        expected = math.log1p(math.exp(rbm_spurious.TALL - rbm_spurious.STEEP * away))
        assert ratio.item() == pytest.approx(expected, abs=1e-4)
    assert 0.3 < rbm_spurious.mass_near(theta, y, 2).item() < 0.6
    assert rbm_spurious.mass_near(bare, y, 2).item() < 0.01  # control
    assert rbm_spurious.mass_near(theta, y, 16).item() == pytest.approx(1)


def test_the_exact_gradient_takes_the_planted_mode_away_first() -> None:
    settings = {"pattern_samplers": ["exact", "CD1"], "pattern_hidden": 3, "pattern_updates": 60}
    run = parameters({"profile": "smoke", **settings}, "rbm_training")
    looks = rbm_spurious.unlearn(run)
    assert [look.update for look in looks["exact"]] == rbm_line.looks(6)
    start, exact, cd = looks["exact"][0].mass, looks["exact"][-1].mass, looks["CD1"][-1].mass
    assert torch.equal(start, looks["CD1"][0].mass)
    assert bool((exact < cd / 2).all())
    assert bool((cd > start * 0.8).all())


def test_every_machine_has_its_rows(rows: list[Row]) -> None:
    tests = [r for r in rows if r.split == "test"]
    machines = {
        ("RBM", "21", "CD1"),
        ("RBM", "21", "centred PCD"),
        ("RBM", "3", "PCD"),
        (TOP, "4-4", "NVIL and PCD"),
    }
    assert {(r.model, r.dims, r.method) for r in tests} == machines
    kinds = {(r.metric, r.variant) for r in tests if r.method == "CD1"}
    assert kinds == {
        *((metric, variant) for metric in ("log_z", "log_likelihood") for variant in ("", "AIS", "reverse")),
        ("log_likelihood", "RAISE"),
        ("log_p_empty", ""),
    }
    assert {(r.metric, r.variant) for r in tests if r.model == TOP} == {("bound", ""), ("log_z", "")}


def test_the_middle_lies_between_the_ends_and_exact_is_exact(
    rows: list[Row], nets: dict[Cell, Measured], data: MnistSplits
) -> None:
    of = {(r.dims, r.variant): r for r in rows if (r.split, r.metric) == ("test", "log_likelihood")}
    middle = (of["21", "AIS"].value + of["21", "reverse"].value) / 2
    assert of["21", ""].value == pytest.approx(middle)
    (net,) = (m.result.final for c, m in nets.items() if c.layers == (3,))
    exact = exact_log_likelihood(RBM, net, data.test).mean().item()
    assert of["3", ""].value == pytest.approx(exact, abs=1e-9)
    assert of["3", ""].note == "exact"
    assert of["3", "AIS"].value != of["3", "reverse"].value  # control


def test_the_empty_image_has_its_probability(
    rows: list[Row], nets: dict[Cell, Measured], data: MnistSplits
) -> None:
    of = {r.dims: r.value for r in rows if r.metric == "log_p_empty"}
    (net,) = (m.result.final for c, m in nets.items() if c.layers == (3,))
    empty = torch.zeros(1, data.test.shape[1], dtype=torch.uint8)
    assert of["3"] == pytest.approx(exact_log_likelihood(RBM, net, empty).item(), abs=1e-9)
    assert of["3"] != pytest.approx(exact_log_likelihood(RBM, net, 1 - empty).item(), abs=1e-3)  # control


def test_what_was_measured_is_not_measured_again(
    run: Run, nets: dict[Cell, Measured], data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nvil_repro.reproduction.rbm_measurements.ais", None)
    again = rbm_training.train_machines(run, data)
    assert {cell: m.test for cell, m in again.items()} == {cell: m.test for cell, m in nets.items()}


def test_it_is_the_last_machine_that_is_measured(
    run: Run, nets: dict[Cell, Measured], data: MnistSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = (cell for cell in nets if cell.method == "CD1")
    m, measured = rbm_training.machine_cells(run, len(data.train))[cell], []
    monkeypatch.setattr(Likelihood, "measure", lambda _, net, data: measured.append(net) or {})
    for last in (True, False):
        train_and_measure(m, data, tmp_path, last=last, progress="off", threads=1)
    assert torch.equal(measured[0].weight, nets[cell].result.final.weight)
    assert torch.equal(measured[1].weight, nets[cell].result.best.net.weight)
    assert not torch.equal(measured[0].weight, measured[1].weight)  # control


def test_fresh_samples_are_probabilities(run: Run, nets: dict[Cell, Measured], data: MnistSplits) -> None:
    found = rbm_training.fresh_samples(run, nets, data, count=3)
    assert [*found] == ["RBM 21, CD1", "RBM 21, centred PCD", "RBM 3, PCD"]
    assert all(p.shape == (3, 30) and bool(((p > 0) & (p < 1)).all()) for p in found.values())
    fields = rbm_training.receptive_fields(nets, count=2)
    assert [tuple(w.shape) for w in fields.values()] == [(2, 30)] * 3


def test_fresh_chains_rise_along_the_ladder_of_the_estimates(
    run: Run, nets: dict[Cell, Measured], data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def annealed(*_: Any, ladder: list[float], **__: Any) -> Tensor:
        lengths.append(len(ladder))
        return torch.zeros(1, 1, 30)

    lengths: list[int] = []
    monkeypatch.setattr(rbm_training, "annealed_samples", annealed)
    for rungs in (run.settings.rungs, 7):
        rbm_training.fresh_samples(
            replace(run, settings=replace(run.settings, rungs=rungs)), nets, data, count=1
        )
    assert lengths == [run.settings.rungs] * 3 + [7] * 3


@pytest.mark.usefixtures("drawing")
def test_figures_say_what_the_rows_say(run: Run, rows: list[Row]) -> None:
    curves = rbm_figures.pattern_curves(rows, -3.4).axes[0]
    assert [line.get_label() for line in curves.lines[:3]] == ["exact", "CD-1", "PCD"]
    looks = rbm_spurious.unlearn(run)
    seen = list(rbm_spurious.planted_rows(run, looks))
    wrong = rbm_spurious.wrong_states(looks, 3)
    axes = rbm_figures.spurious_modes(seen, wrong, rbm_patterns.SIDE).axes[0]
    begin = numpy.asarray(axes.lines[1].get_ydata())[0]
    assert begin == pytest.approx(looks["CD1"][0].mass.mean().item())
    left, _ = rbm_figures.machine_curves(rows, 21).axes
    assert len(left.lines) == 2
    plain, longer = (rbm_figures.sampler_stroke(f"PCD{length}") for length in ("", ", 200 passes"))
    assert (longer.label, longer.colour, longer.dashes) == ("PCD, 200 passes", plain.colour, ())
    assert plain.dashes  # control
    bars = rbm_figures.brackets(rows, read_published()).axes[0]
    labels = [text.get_text() for text in bars.get_yticklabels()]
    assert labels == ["RBM 21, CD-1", "RBM 21, centred PCD", "RBM 3, PCD"]
    panels = rbm_figures.phases(list(rbm_line.moments(8)), 4).axes
    assert panels[0].get_title().startswith("update 0")
    strokes = [*SAMPLER_STROKES.values()]
    for part in ("label", "colour", "dashes", "marker"):
        assert len({getattr(stroke, part) for stroke in strokes}) == len(strokes)


def test_moments_are_drawn_live_only_where_someone_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIL_REPRO_PROGRESS", "lines")
    seen = list(rbm_line.moments(2))
    assert list(rbm_figures.shown_live(seen)) == seen
