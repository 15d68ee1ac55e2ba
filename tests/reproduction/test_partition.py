"""What is asked about log Z, how answers become rows, and what is shown of them, on machines of few units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from numpy import asarray

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.exact_partition import exact_log_likelihood, exact_log_partition
from nvil_repro.evaluation.ladders import salakhutdinov_murray_ladder
from nvil_repro.evaluation.simple_importance import simple_importance
from nvil_repro.models.rbm import RBM
from nvil_repro.models.rbm_arrays import read_rbm
from nvil_repro.reproduction import (
    partition_answers,
    partition_figures,
    partition_machines,
    partition_results,
)
from nvil_repro.reproduction import partition_questions as questions
from nvil_repro.reproduction import partition_views as views
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.partition_machines import Cell, Trained
from nvil_repro.reproduction.partition_methods import (
    ADAPTIVE,
    AIS,
    EXACT,
    METHODS,
    RAISE,
    REVERSE,
    UNIFORM,
    Question,
    own_samples,
    shaped_ladder,
)
from nvil_repro.reproduction.partition_results import MODEL, TRIALS, Found
from nvil_repro.reproduction.partition_tracking import OWN, TRAINING, Tracking
from nvil_repro.reproduction.results import Row
from nvil_repro.training.together import train_together
from nvil_repro.training.unnormalised import UnnormalisedMethod
from nvil_repro.training.unnormalised_start import checked_start

SMALL, LARGE = Cell(3, 0), Cell(5, 0)


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(220, 30, generator=generator) < torch.rand(30, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:120], bits[120:160], bits[160:], "toy")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    nets = {"exact_hidden": 3, "hidden": 5, "passes": 1, "evaluations": 1}
    sizes = {"chains": 20, "burn_in": 5, "rungs": [2, 40], "trials": 25, "trial_rungs": 3}
    cases = {"tracked_updates": 10, "tracked_points": 2, "test_cases": 60, "reverse_cases": 15}
    folder = str(tmp_path_factory.mktemp("results"))
    return parameters(
        {"profile": "smoke", **nets, **sizes, **cases, "results_dir": folder}, "partition_function"
    )


@pytest.fixture(scope="module")
def machines(run: Run, data: MnistSplits) -> Iterator[dict[Cell, Trained]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NVIL_REPRO_PROGRESS", "off")
        for module in (partition_machines, partition_results):
            patch.setattr(module, "train_together", partial(train_together, workers=1))
        yield partition_machines.train_machines(run, data)


@pytest.fixture(scope="module")
def found(run: Run, data: MnistSplits, machines: dict[Cell, Trained]) -> Found:
    return partition_results.find(run, data, machines)


@pytest.fixture(scope="module")
def rows(run: Run, data: MnistSplits, machines: dict[Cell, Trained], found: Found) -> list[Row]:
    return partition_results.rows_of(run, data, machines, found)


def test_every_estimate_is_near_the_exact_value(rows: list[Row], machines: dict[Cell, Trained]) -> None:
    exact = exact_log_partition(RBM, machines[SMALL].machine.theta).item()
    told = {
        (r.variant, r.protocol): r.value
        for r in rows
        if (r.split, r.metric, r.dims) == (MODEL, "log_z", "3") and "2 rungs" not in r.protocol
    }
    assert told[EXACT, ""] == exact
    assert {method for method, _ in told} == set(METHODS)
    assert all(abs(value - exact) < 0.5 for value in told.values())
    assert any(value != exact for value in told.values())  # control


def test_the_test_likelihood_is_exact_where_log_z_is(
    rows: list[Row], machines: dict[Cell, Trained], data: MnistSplits
) -> None:
    theta, by = (
        machines[SMALL].machine.theta,
        {(r.dims, r.variant, r.metric): r for r in rows if r.split == "test"},
    )
    exact = exact_log_likelihood(RBM, theta, data.test).mean().item()
    assert by["3", "", "log_likelihood"].value == pytest.approx(exact, abs=1e-10)
    assert by["3", "", "log_likelihood"].note == "exact"
    ends = [by["5", end, "log_likelihood"].value for end in ("AIS", "reverse")]
    assert by["5", "", "log_likelihood"].value == pytest.approx(sum(ends) / 2)
    assert by["5", "", "log_likelihood"].note == "midpoint of AIS and reverse AIS over 40 rungs"


def test_answers_are_given_once(
    run: Run, data: MnistSplits, machines: dict[Cell, Trained], found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(partition_answers, "METHODS", dict.fromkeys(METHODS, again))
    assert partition_results.find(run, data, machines) == found
    path = machines[SMALL].answers / partition_answers.answer_file(Question(EXACT))
    kept = path.read_text()
    path.unlink()
    with pytest.raises(AssertionError, match="asked again"):  # control
        partition_results.find(run, data, machines)
    path.write_text(kept)


def test_a_question_names_its_file() -> None:
    one = Question(AIS, UNIFORM, 10, 5)
    others = [
        Question(AIS, ADAPTIVE, 10, 5),
        Question(REVERSE, UNIFORM, 10, 5),
        Question(AIS, UNIFORM, 10, 5, (1,)),
    ]
    names = {partition_answers.answer_file(q) for q in (one, *others, Question(AIS, UNIFORM, 10, 5))}
    assert len(names) == 4


def test_samples_are_exact_or_by_chains_and_no_seed_shares_them(machines: dict[Cell, Trained]) -> None:
    small, large = machines[SMALL], machines[LARGE]
    assert (small.burn_in, large.burn_in) == (0, 5)
    assert (len(small.machine.samples), len(large.machine.samples)) == (25 * 20, 20)
    parts = [own_samples(small.machine, 20, seed)[0] for seed in (0, 1)]
    assert torch.equal(torch.cat(parts).to(torch.uint8), small.machine.samples[:40])
    assert not torch.equal(*parts)
    with pytest.raises(ValueError, match="seed 1 of 20 samples each: the machine has 20 in all"):
        own_samples(large.machine, 20, 1)


def test_a_machine_is_what_training_ends_with_and_its_folder_names_it(
    run: Run, data: MnistSplits, machines: dict[Cell, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(part: str, change: Callable[[Any], Any]) -> dict[Cell, Trained]:
        def trained(*arguments: Any) -> dict[Any, Any]:
            results = train_together(*arguments, workers=1)
            return {
                cell: replace(result, **{part: change(getattr(result, part))})
                for cell, result in results.items()
            }

        monkeypatch.setattr(partition_machines, "train_together", trained)
        return partition_machines.train_machines(run, data)

    def moved(net: Any) -> Any:
        return net._replace(weight=net.weight + 0.5)

    folder = machines[SMALL].answers
    assert len(list(folder.glob("samples-500-exact-*"))) == 1
    assert otherwise("best", lambda best: best._replace(net=moved(best.net)))[SMALL].answers == folder
    other = otherwise("state", lambda state: state._replace(net=moved(state.net)))[SMALL]  # control
    assert other.answers != folder
    assert not torch.equal(other.machine.samples, machines[SMALL].machine.samples)


def test_trials_come_in_parts_and_are_counted(run: Run, rows: list[Row], found: Found) -> None:
    whole = Question(AIS, UNIFORM, 2, 20, tuple(range(25)))
    assert whole in questions.trials(run)
    parts = list(questions.parts(whole))
    assert [len(part.seeds) for part in parts] == [20, 5]
    assert sum((part.seeds for part in parts), ()) == whole.seeds
    exact = found.answers[SMALL, Question(EXACT)][0].log_z
    answers = [a for part in parts for a in found.answers[SMALL, part]]
    held = sum(a.lower <= exact <= a.upper for a in answers)
    (row,) = [
        r for r in rows
        if (r.split, r.variant, r.protocol, r.metric) == (TRIALS, AIS, "uniform, 2 rungs", "coverage")
    ]  # fmt: skip
    assert (row.value, row.n) == (held / 25, 25)
    assert partition_results.covered(answers, exact + 1e3).covered == 0  # control


def test_both_ways_of_tracking_begin_alike_and_part(found: Found, machines: dict[Cell, Trained]) -> None:
    points = {(p.update, p.by): p for p in found.tracked[SMALL, 0.05]}
    assert {update for update, by in points if by == EXACT} == {0, 5, 10}
    assert points[0, OWN][2:] == points[0, TRAINING][2:]
    for update in (0, 5, 10):
        assert points[update, OWN].log_z == pytest.approx(points[update, EXACT].log_z, abs=0.3)
    assert points[10, TRAINING].log_z < points[10, OWN].log_z
    one = Tracking(machines[SMALL].settings, 10, 2)
    assert one.file != Tracking(machines[SMALL].settings, 11, 2).file


def test_what_is_tracked_is_the_machine_after_so_many_updates(
    found: Found, machines: dict[Cell, Trained], data: MnistSplits
) -> None:
    settings = replace(machines[SMALL].settings, exact_units=0, annealed_chains=2, rungs=2)
    (family, theta), exact = checked_start(settings, data), {}
    method = UnnormalisedMethod(settings, family, theta, data.train, data.valid)
    state = method.start()
    for update in range(11):
        exact[update] = exact_log_partition(RBM, state.net).item()
        method.advance(state, update, 1)
    points = {p.update: p.log_z for p in found.tracked[SMALL, 0.05] if p.by == EXACT}
    assert points == pytest.approx({update: exact[update] for update in points}, abs=1e-9)
    assert points[10] != pytest.approx(exact[9], abs=1e-9)  # control
    slower = {p.update: p.log_z for p in found.tracked[SMALL, 0.005] if p.by == EXACT}
    assert slower[0] == points[0]
    assert abs(slower[10] - slower[0]) < abs(points[10] - points[0])


def test_a_ladder_of_the_shape_of_2008() -> None:
    full = salakhutdinov_murray_ladder()
    assert shaped_ladder(14_501) == shaped_ladder(20_000) == full
    few = shaped_ladder(146)
    assert (len(few), few[0], few[-1]) == (146, 0.0, 1.0)
    assert sum(b < 0.5 for b in few) == 5  # of the full 500 in 14,501
    for rungs in (2, 3, 17):
        assert shaped_ladder(rungs) == sorted(set(shaped_ladder(rungs)))


def test_the_deviation_of_importance_sampling_is_equation_18_46(machines: dict[Cell, Trained]) -> None:
    m = machines[SMALL].machine
    found = simple_importance(RBM, m.theta, samples=50, mean=m.mean)
    relative = math.exp(found.log_variance.item() / 2 - found.estimate.log_z.item())
    assert views.relative_sd(found.estimate.ess.item(), 50) == pytest.approx(relative, rel=1e-9)


def test_an_exported_machine_is_read_back(machines: dict[Cell, Trained]) -> None:
    theta = read_rbm(partition_machines.save_arrays(machines[SMALL]))
    assert torch.equal(theta.weight.float(), machines[SMALL].machine.theta.weight)


def test_a_label_gives_its_ladder_back() -> None:
    assert questions.ladder_of(questions.ladder_label(Question(AIS, ADAPTIVE, 1_000, 5))) == (ADAPTIVE, 1_000)
    assert questions.ladder_of(questions.ladder_label(Question(EXACT))) == ("", 0)


@pytest.mark.usefixtures("drawing")
def test_figures_say_what_the_rows_say(rows: list[Row], found: Found) -> None:
    exact = found.answers[SMALL, Question(EXACT)][0].log_z
    panels = partition_figures.brackets(rows).axes
    titles = [axes.get_title() for axes in panels]
    assert [title.split(";")[0] for title in titles] == [
        f"{units} hidden units, {ladder} ladder" for ladder in (UNIFORM, ADAPTIVE) for units in (3, 5)
    ]
    rising = panels[0].lines[0]
    assert list(asarray(rising.get_xdata())) == [2, 40]
    answer = found.answers[SMALL, Question(AIS, UNIFORM, 40, 20)][0]
    assert asarray(rising.get_ydata())[1] == pytest.approx(answer.log_z - exact)
    assert len(panels[0].lines) == len(panels[2].lines) + 1  # RAISE, on the uniform ladder
    labels = [text.get_text() for text in partition_figures.errors(rows).axes[0].get_yticklabels()]
    assert len(labels) == len(views.estimates_table(rows)) == 9
    assert not any(RAISE in label for label in labels)
    shares = asarray(partition_figures.coverage(rows).axes[0].lines[0].get_xdata())
    assert shares[::-1].tolist() == views.trial_lines(rows)["coverage"].tolist()
    columns = partition_figures.tracking(rows).axes[:2]
    for axes, rate in zip(columns, (0.05, 0.005), strict=True):
        assert axes.get_title() == f"rate {rate} at the start"
        assert asarray(axes.lines[1].get_ydata())[-1] == found.tracked[SMALL, rate][-2].log_z
    assert found.tracked[SMALL, 0.05][-2] != found.tracked[SMALL, 0.005][-2]  # control
    strokes = [*partition_figures.BRACKETS.values()]
    for part in ("label", "colour", "dashes", "marker"):
        assert len({getattr(stroke, part) for stroke in strokes}) == len(strokes)


@pytest.mark.usefixtures("drawing")
def test_an_endless_interval_holds_everything_and_is_drawn_to_the_edge(rows: list[Row]) -> None:
    def endless(row: Row) -> Row:
        wide = row.variant == "bridge sampling" and row.metric in ("log_z_lower", "log_z_upper")
        return row._replace(value=math.nan, note="inf") if wide and row.split == MODEL else row

    opened = [endless(row) for row in rows]
    table = views.longest_estimates(opened).set_index("variant")
    assert table.loc["bridge sampling", "log_z_upper"] == math.inf
    assert table.loc["bridge sampling", "holds"]
    reach = [max(abs(asarray(line.get_xdata()))) for line in partition_figures.errors(opened).axes[0].lines]
    assert max(reach) == partition_figures.FAR
    reach = [max(abs(asarray(line.get_xdata()))) for line in partition_figures.errors(rows).axes[0].lines]
    assert max(reach) < partition_figures.FAR  # control


def test_who_is_fooled_reads_as_likelihoods(rows: list[Row], machines: dict[Cell, Trained]) -> None:
    table = views.fooled_table(rows).reset_index()
    assert table["hidden units"].tolist() == ["3", "3", "5", "5"]
    assert table["temperatures"].tolist() == [2, 40, 2, 40]
    ais = [
        r.value
        for r in rows
        if (r.variant, r.protocol, r.metric, r.dims) == (AIS, "uniform, 2 rungs", "log_z", "3")
    ]
    assert table["AIS alone"][0] == pytest.approx(machines[SMALL].level - ais[0], abs=0.01)
