"""RBMs on MNIST by every negative phase, one whose likelihood is exact, and NVIL below an RBM: trained, as rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.target_samples import annealed_samples
from nvil_repro.models.rbm import RBM, Rbm, hidden_logits, visible_logits
from nvil_repro.reproduction.measurements import Measured, Measurement, measured_file, train_and_measure
from nvil_repro.reproduction.naming import dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.rbm_measurements import (
    Annealing,
    Likelihood,
    UndirectedTop,
)
from nvil_repro.reproduction.rbm_systems import BATCH, machine_folder, mnist_settings, whole
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.training.threads import one_thread
from nvil_repro.training.together import Job, train_together
from nvil_repro.training.undirected_top import UndirectedTopSettings
from nvil_repro.training.unnormalised_start import mean_of

EXACT = "PCD"  # how the machine is trained whose likelihood is exact
TOP = "SBN+RBM"
# Not the best on validation: an estimate of log Z that fails flatters, and so would be chosen.
MEASURE = partial(train_and_measure, last=True)


class Cell(NamedTuple):
    """One trained net: its model, its layers, h^1 first, its method and seed."""

    model: str
    layers: tuple[int, ...]
    method: str
    seed: int

    @property
    def label(self) -> str:
        return f"{self.model} {dims_label(self.layers)}, {self.method}"


def machine_cells(run: Run, cases: int) -> dict[Cell, Measurement]:
    """Every net of the run, for `cases` training cases."""
    s, cells = run.settings, dict[Cell, Measurement]()
    annealing = _annealing(run)
    for seed in s.seeds:
        for name, hidden in [*((name, s.hidden) for name in s.samplers), (EXACT, s.exact_hidden)]:
            settings = mnist_settings(
                name, hidden=hidden, passes=s.passes, evaluations=s.evaluations, seed=seed, cases=cases
            )
            cell = Cell("RBM", (hidden,), name, seed)
            cells[cell] = Likelihood(settings, annealing, s.test_cases, s.reverse_cases)
        cell = Cell(TOP, (s.top_units, s.top_units), "NVIL and PCD", seed)
        cells[cell] = UndirectedTop(_top_settings(run, cases, seed), annealing, s.test_cases)
    return cells


def _annealing(run: Run) -> Annealing:
    return Annealing(run.settings.ladder, run.settings.rungs, run.settings.chains)


def _top_settings(run: Run, cases: int, seed: int) -> UndirectedTopSettings:
    s = run.settings
    updates = whole(s.top_passes * cases / BATCH)
    every = whole(updates / s.evaluations)
    return UndirectedTopSettings(
        hidden=s.top_units, top=s.top_units, updates=updates, seeds=(seed,), batch_size=BATCH, chains=BATCH,
        eval_every=every, chunk=every,
    )  # fmt: skip


def train_machines(run: Run, data: MnistSplits) -> dict[Cell, Measured]:
    """Train and measure every net, as many at a time as there are threads; what was interrupted goes on."""
    jobs = {}
    for cell, m in machine_cells(run, len(data.train)).items():
        if isinstance(m, Likelihood):
            folder = machine_folder(run, data.dataset, cell.method, m.training)
        else:
            folder = run_folder(run, data.dataset, f"{cell.label}, seed {cell.seed}", m.training, m.module)
        product, updates = measured_file(m, last=True), m.training.updates
        jobs[cell] = Job(MEASURE, m, folder, cell.label, updates, m.multiply_adds, product)
    return train_together(jobs, data)


def machine_rows(run: Run, nets: Mapping[Cell, Measured], data: MnistSplits) -> Iterator[Row]:
    """The validation numbers of every net along its training, and the test numbers of what it ended with."""
    for cell, (result, test) in nets.items():
        row: Callable[..., Row] = partial(
            result_row, run, dataset=data.dataset, model=cell.model, layers=cell.layers, method=cell.method,
            seed=cell.seed, threads=1,
        )  # fmt: skip
        yield from curve_rows(row, result.history)
        common: dict[str, Any] = {"split": "test", "updates": result.updates, "seconds": result.seconds}
        for name, (value, stderr, n, note) in test.items():
            metric, _, variant = name.partition("/")
            yield row(
                metric=metric, variant=variant, value=value, stderr=stderr, n=n or None, note=note, **common
            )
        if not test:
            note = f"diverged at update {min(result.diverged.values())}"
            yield row(metric=result.history[0]["metric"], value=math.nan, note=note, **common)


def machines(nets: Mapping[Cell, Measured]) -> dict[str, Rbm]:
    """The RBMs of the first seed by their labels."""
    first: dict[str, Rbm] = {}
    for cell, measured in nets.items():
        if cell.model == "RBM" and not measured.result.diverged:
            first.setdefault(cell.label, measured.result.final)
    return first


@torch.no_grad()
def fresh_samples(
    run: Run, nets: Mapping[Cell, Measured], data: MnistSplits, count: int = 16
) -> dict[str, Tensor]:
    """What chains draw that training has not seen, annealed from the base rates up the ladder that Z was estimated on.

    Of each RBM, pixel probabilities [count, D] at the hidden units that go with a sample.
    """
    mean, found = mean_of(data.train), dict[str, Tensor]()
    annealing = _annealing(run)
    with one_thread():
        for label, theta in machines(nets).items():
            x = annealed_samples(RBM, theta, count, ladder=annealing.rungs_for(theta, mean), mean=mean)
            found[label] = visible_logits(theta, hidden_logits(theta, x).sigmoid()).sigmoid()[0]
    return found


def receptive_fields(nets: Mapping[Cell, Measured], count: int = 16) -> dict[str, Tensor]:
    """The weights of the first hidden units of each RBM, [count, D]."""
    return {label: theta.weight[0].T[:count] for label, theta in machines(nets).items()}
