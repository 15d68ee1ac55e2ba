"""NVIL beyond the paper's conditionals: Gaussian latents, beside the reparameterisation, and a deep Q over bits.

Every net of a seed starts from the same draw, reads the same minibatches and is given the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits, held_out
from nvil_repro.evaluation.general_bounds import bound_of, general_weights, importance_of
from nvil_repro.evaluation.general_variance import general_variance, settled_signals
from nvil_repro.evaluation.importance import random_part, whole_set_estimate
from nvil_repro.learning.estimators import ESTIMATORS, PATHWISE, Nets
from nvil_repro.learning.nvil import VARIANTS
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.streams import normals
from nvil_repro.training.general import GeneralNets, GeneralSettings, GeneralState, train
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.progress import Progress
from nvil_repro.training.recipes import BernoulliRecipe, GaussianRecipe, Recipe
from nvil_repro.training.threads import one_thread
from nvil_repro.training.together import Job, train_together

GAUSSIAN, LINEAR, DEEP = "Gaussian latents, deep Q", "bits, linear Q", "bits, deep Q"

SETTLE = 30  # minibatches that bring the running mean and variance to a thousandth of where they belong


class Cell(NamedTuple):
    """One trained net."""

    model: str
    estimator: str
    seed: int


class Trained(NamedTuple):
    """A training and the modules that were best on validation."""

    result: TrainResult[GeneralState]
    nets: Nets


def recipes(run: Run) -> dict[str, Recipe]:
    """The nets of the run by name; those over bits differ in the inference network alone."""
    s = run.settings
    return {
        GAUSSIAN: GaussianRecipe(s.gaussian_units, inference=s.hidden, model=s.decoder),
        LINEAR: BernoulliRecipe(s.binary_units),
        DEEP: BernoulliRecipe(s.binary_units, inference=s.hidden),
    }


def train_nets(run: Run, data: MnistSplits) -> dict[Cell, Trained]:
    """Train every net, as many at a time as there are threads; an interrupted run goes on from its checkpoints.

    Gaussian latents by every estimator of the settings, bits by the full method.
    """
    s, jobs = run.settings, {}
    for seed in s.seeds:
        for model, recipe in recipes(run).items():
            for estimator in s.estimators if model == GAUSSIAN else ("full",):
                settings = GeneralSettings(
                    recipe, s.updates, (estimator,), (seed,), s.rate, s.batch, s.eval_every, s.bound_samples
                )
                title = f"{model}, {estimator}, seed {seed}"
                folder = run_folder(
                    run, data.dataset, title, settings, "training/general.py", "training/recipes.py"
                )
                cost = 3.0 * s.batch * _weights(recipe, data)
                jobs[Cell(model, estimator, seed)] = Job(train, settings, folder, title, s.updates, cost)
    results: dict[Cell, TrainResult[GeneralState]] = train_together(jobs, data)
    return {cell: _best(jobs[cell].settings, result, data) for cell, result in results.items()}


def _weights(recipe: Recipe, data: MnistSplits) -> int:
    """Multiply-adds of a case on its way forward."""
    nets = recipe(torch.full((data.train.shape[1],), 0.5), 0)
    return sum(p.numel() for p in nets.parameters() if p.ndim > 1)


def _best(settings: GeneralSettings, result: TrainResult[GeneralState], data: MnistSplits) -> Trained:
    return Trained(result, GeneralNets(settings, data.train, data.valid).modules(result.best.net, 0))


def rows_of(run: Run, trained: Mapping[Cell, Trained], data: MnistSplits) -> list[Row]:
    """All rows: validation curves, test numbers, and gradient variances at the parameters of the full method."""
    rows: list[Row] = []
    with one_thread(), Progress(len(trained), "Measuring", unit="net") as progress:
        for cell, (result, nets) in trained.items():
            row = partial(_row, run, data.dataset, cell.model, seed=cell.seed)
            rows += curve_rows(partial(row, estimator=cell.estimator), result.history)
            rows += _test_rows(run, row, cell, result, nets, data)
            if cell.estimator == "full" and not result.diverged:
                rows += _variance_rows(run, row, cell, result, nets, data)
            progress.step(1)
    return rows


def _test_rows(
    run: Run,
    row: Callable[..., Row],
    cell: Cell,
    result: TrainResult[GeneralState],
    nets: Nets,
    data: MnistSplits,
) -> Iterator[Row]:
    """The paper's test bound and the importance-weighted estimate; one row of NaN where training diverged."""
    s, x = run.settings, held_out(data, run.settings.test_cases)
    row = partial(row, estimator=cell.estimator, split="test", updates=result.updates, seconds=result.seconds)
    if result.diverged:
        yield row(metric="bound", value=math.nan, note=f"diverged at update {min(result.diverged.values())}")
        return
    bound = bound_of(general_weights(nets, x, s.bound_samples, seed=cell.seed, name="test"))
    part = random_part(len(x), s.importance_cases)
    weighted = importance_of(
        general_weights(nets, x[part], s.importance_samples, seed=cell.seed, name="importance")
    )
    value, stderr = whole_set_estimate(bound, part, weighted)
    note = f"{weighted.samples:,} samples a case, median effective {weighted.effective_samples.median():.0f}"
    yield row(metric="bound", value=bound.value, stderr=bound.stderr, n=bound.n)
    yield row(metric="importance_weighted", value=value, stderr=stderr, n=weighted.n, note=note)


def _variance_rows(
    run: Run,
    row: Callable[..., Row],
    cell: Cell,
    result: TrainResult[GeneralState],
    nets: Nets,
    data: MnistSplits,
) -> Iterator[Row]:
    """How noisy each estimator's estimate of one and the same gradient is: one minibatch of held-out cases, the running
    state that belongs there, the divisor of variance normalisation undone.
    """
    x, draws = data.valid[: run.settings.batch], run.settings.gradient_samples
    for estimator in ESTIMATORS if cell.model == GAUSSIAN else VARIANTS:
        state = settled_signals(nets, estimator, x, draws=SETTLE, seed=cell.seed)
        found = general_variance(nets, estimator, x, state, draws=draws, seed=cell.seed)
        divisor = found.scale**2
        values = {
            "gradient_variance": (found.trace, found.trace_stderr),
            "gradient_signal": (found.signal, found.signal_stderr),
        }
        for metric, (value, stderr) in values.items():
            yield row(
                estimator=estimator, metric=metric, split="valid", updates=int(result.best.update[0]),
                value=value * divisor, stderr=stderr * divisor, n=draws,
            )  # fmt: skip


def _row(run: Run, dataset: str, model: str, *, estimator: str, **fields: Any) -> Row:
    units = run.settings.gaussian_units if model == GAUSSIAN else run.settings.binary_units
    method = "reparameterisation" if estimator in PATHWISE else "NVIL"
    return result_row(
        run, dataset=dataset, model=model, layers=(units,), method=method, protocol="adam", variant=estimator,
        threads=1, **fields,
    )  # fmt: skip


def drawn(nets: Mapping[Cell, Trained], run: Run, cases: int = 10) -> Tensor:
    """Pixel probabilities at h from the prior, [2 cases, D]: learned by NVIL, then by the reparameterisation.

    Of the first seed; NVIL's alone where the settings leave the other out.
    """
    seed, units = run.settings.seeds[0], run.settings.gaussian_units
    h = normals(seed, "draw", 0, (cases, units))
    cells = [Cell(GAUSSIAN, name, seed) for name in ("full", "pathwise")]
    with torch.no_grad():
        return torch.cat([nets[cell].nets.model.network(h).sigmoid() for cell in cells if cell in nets])
