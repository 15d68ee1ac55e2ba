"""Everything the run finds out about log Z: all its jobs side by side, and their answers as rows.

Of a row, `method` is how the machine was trained, `variant` how log Z was estimated and `protocol` by which ladder, or
of a tracked training at which rate it learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.calibration import Coverage, coverage
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.models.rbm import RBM
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.partition_answers import Answer, Material, answer, answer_file, multiply_adds
from nvil_repro.reproduction.partition_machines import METHOD, Cell, Trained
from nvil_repro.reproduction.partition_methods import ADAPTIVE, AIS, EXACT, REVERSE, UNIFORM, Question
from nvil_repro.reproduction.partition_questions import (
    brackets,
    estimates,
    ladder_label,
    of_machine,
    parts,
    samples,
    trials,
)
from nvil_repro.reproduction.partition_tracking import Point, Tracking, track_training
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.training.together import Job, train_together

MODEL, TRIALS, TRACKED = "model", "trials", "train"  # splits: of the machine itself, its trials, its training
PASSES = 10  # of chains through the machine in a tracked update, about


class Found(NamedTuple):
    """What is known of each machine."""

    answers: Mapping[tuple[Cell, Question], list[Answer]]
    tracked: Mapping[tuple[Cell, float], list[Point]]  # by rates, of trainings that begin alike


def find(run: Run, data: MnistSplits, machines: Mapping[Cell, Trained]) -> Found:
    """Every answer and the tracked trainings, as many jobs at a time as there are threads; finished ones are read."""
    s = run.settings
    jobs: dict[tuple[Cell, Question | float], Job] = {}
    for cell, m in machines.items():
        name = f"RBM {cell.hidden}, seed {cell.seed}"
        for q in of_machine(run, cell, m.burn_in):
            title = ", ".join(filter(None, (name, q.method, ladder_label(q))))
            jobs[cell, q] = Job(answer, q, m.answers, title, 1, multiply_adds(q, m.machine), answer_file(q))
        if cell.hidden == s.exact_hidden:
            for rate in s.tracked_rates:
                training, updates = (
                    replace(m.settings, rate=rate),
                    min(s.tracked_updates, m.settings.updates - 1),
                )
                how = Tracking(training, updates, s.tracked_points)
                moved = PASSES * multiply_adds(Question(AIS, UNIFORM, 1, m.settings.chains), m.machine)
                cost = moved + multiply_adds(Question(EXACT), m.machine) * (how.exact_points + 1) / how.steps
                title = f"{name}, {_rate_label(rate)}, tracked"
                jobs[cell, rate] = Job(track_training, how, m.answers, title, how.steps, cost, how.file)
    material = Material({m.folder.name: m.machine for m in machines.values()}, data)
    found = train_together(jobs, material)
    return Found(
        {(cell, q): value for (cell, q), value in found.items() if isinstance(q, Question)},
        {(cell, q): value for (cell, q), value in found.items() if not isinstance(q, Question)},
    )


def _rate_label(rate: float) -> str:
    return f"rate {rate:g}"


def rows_of(run: Run, data: MnistSplits, machines: Mapping[Cell, Trained], found: Found) -> list[Row]:
    """All rows: estimates and brackets, trials, what was tracked, and the likelihood of the test cases."""
    rows: list[Row] = []
    for cell, m in machines.items():
        row = partial(
            result_row, run, dataset=data.dataset, model="RBM", layers=(cell.hidden,), method=METHOD,
            seed=cell.seed, threads=1,
        )  # fmt: skip
        told = partial(row, updates=m.updates)
        enumerated = cell.hidden == run.settings.exact_hidden
        asked = [*(estimates(run) if enumerated else []), *brackets(run, m.burn_in)]
        for q in dict.fromkeys(asked):
            rows += _estimate_rows(told, q, found.answers[cell, q][0])
        rows += _test_rows(run, told, cell, m, found)
        if enumerated:
            exact = found.answers[cell, Question(EXACT)][0].log_z
            for q in trials(run):
                each = [a for part in parts(q) for a in found.answers[cell, part]]
                rows += _trial_rows(told, q, covered(each, exact))
            for rate in run.settings.tracked_rates:
                rows += _tracked_rows(partial(row, protocol=_rate_label(rate)), found.tracked[cell, rate])
    return rows


def _estimate_rows(row: Callable[..., Row], q: Question, a: Answer) -> Iterator[Row]:
    shared: dict[str, Any] = {
        "variant": q.method, "protocol": ladder_label(q), "split": MODEL, "n": samples(q), "seconds": a.seconds
    }  # fmt: skip
    values = {"log_z": a.log_z, "log_z_lower": a.lower, "log_z_upper": a.upper, "effective_samples": a.ess}
    for metric, value in values.items():
        if q.method != EXACT or metric == "log_z":
            yield row(metric=metric, value=value, note="" if math.isfinite(value) else str(value), **shared)


def covered(answers: Sequence[Answer], exact: float) -> Coverage:
    """How often the answers' intervals hold the exact value."""

    def estimator(_: Any, __: Any, seed: int) -> PartitionEstimate:
        numbers = (torch.tensor([value], dtype=torch.float64) for value in answers[seed][:4])
        return PartitionEstimate("", *numbers)

    (found,) = coverage(RBM, None, estimator, len(answers), torch.tensor([exact], dtype=torch.float64))
    return found


def _trial_rows(row: Callable[..., Row], q: Question, c: Coverage) -> Iterator[Row]:
    shared: dict[str, Any] = {
        "variant": q.method,
        "protocol": ladder_label(q),
        "split": TRIALS,
        "n": c.trials,
    }
    note = f"{c.covered} of {c.trials} intervals hold the exact value"
    values = {
        "coverage": c.covered / c.trials, "coverage_lower": c.lower, "coverage_upper": c.upper,
        "bias": c.bias, "spread": c.spread, "width": c.width, "effective_samples": c.ess,
    }  # fmt: skip
    for metric, value in values.items():
        yield row(metric=metric, value=value, note=note if metric == "coverage" else str(value), **shared)


def _tracked_rows(row: Callable[..., Row], points: Sequence[Point]) -> Iterator[Row]:
    for p in points:
        values = {"log_z": p.log_z, "log_z_lower": p.lower, "log_z_upper": p.upper}
        for metric, value in values.items():
            if p.by != EXACT or metric == "log_z":
                yield row(variant=p.by, split=TRACKED, metric=metric, value=value, updates=p.update)


def _test_rows(run: Run, row: Callable[..., Row], cell: Cell, m: Trained, found: Found) -> Iterator[Row]:
    """log Z and the test log-likelihood: between the longest adaptive ladders' ends, exact where that is known."""
    s = run.settings
    rising = Question(AIS, ADAPTIVE, max(s.rungs), s.chains)
    falling = Question(REVERSE, ADAPTIVE, max(s.rungs), s.chains, burn_in=m.burn_in)
    ends = {name: found.answers[cell, q][0].log_z for name, q in (("AIS", rising), ("reverse", falling))}
    exact = found.answers.get((cell, Question(EXACT)))
    middle = exact[0].log_z if exact else sum(ends.values()) / 2
    note = "exact" if exact else f"midpoint of AIS and reverse AIS over {max(s.rungs)} rungs"
    row = partial(row, split="test", n=s.test_cases)
    yield row(metric="log_unnormalised", value=m.level)
    for variant, log_z in {"": middle, **ends}.items():
        how = note if not variant else ""
        yield row(variant=variant, metric="log_z", value=log_z, note=how)
        yield row(variant=variant, metric="log_likelihood", value=m.level - log_z, note=how)
