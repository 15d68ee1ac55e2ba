"""Every criterion of chapter 18 at every rate, on patterns, on a plane and on MNIST: one list of trainings.

All learn by Adam, whose steps do not depend on the unit a criterion is stated in, from equal starts, with equal
minibatches, at rates that fall to zero.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.data.small_patterns import Patterns, Plane, bars_and_stripes, ring
from nvil_repro.learning.criteria import Amounts
from nvil_repro.reproduction.measurements import Measured, measured_file, train_and_measure
from nvil_repro.reproduction.naming import WITHOUT_Z
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.rbm_measurements import Annealing, Likelihood
from nvil_repro.reproduction.rbm_systems import BATCH, MODULE, multiply_adds, sampler_settings, whole
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.training import unnormalised
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.together import Job, train_together
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings

PATTERNS, PLANE, MNIST = "patterns", "plane", "mnist"
SIDE = 4  # of the images of bars and stripes
COPIES = 16  # of each of them, so that minibatches differ
SMALL = 32  # cases of a minibatch of patterns, and chains
POINTS = 20  # evaluations of small models along training
REAL_CRITERIA = ("exact", "score matching", "denoising score matching")
DENOISED = 0.1  # standard deviation of the noise that denoising score matching takes away; bumps have 0.12


class Data(NamedTuple):
    """What is learned, by the names of `PATTERNS`, `PLANE` and `MNIST`."""

    patterns: Patterns
    plane: Plane
    mnist: MnistSplits


class Cell(NamedTuple):
    """One training; all its seeds side by side, but on MNIST, where each is one of its own."""

    part: str
    criterion: str
    rate: float
    seeds: tuple[int, ...]


class Training(NamedTuple):
    """What is trained on a part of the data, and what is measured of it afterwards."""

    part: str
    settings: UnnormalisedSettings
    measurement: Likelihood | None = None


def load(mnist: MnistSplits) -> Data:
    """Bars and stripes, the ring of bumps in the plane, and MNIST as given."""
    return Data(bars_and_stripes(SIDE, copies=COPIES), ring(), mnist)


def train_all(run: Run, data: Data) -> dict[Cell, Measured]:
    """Train everything, and measure what learned MNIST, as many at a time as there are threads.

    An interrupted run goes on from its checkpoints.
    """
    jobs = {}
    for cell, training in trainings(run, len(data.mnist.train)).items():
        settings, splits = training.settings, getattr(data, cell.part)
        label = f"{settings.family} {settings.hidden}, {cell.criterion}, {cell.rate:g}"
        folder = run_folder(run, splits.dataset, label, settings, MODULE)
        product = measured_file(training.measurement, last=True) if training.measurement else "metrics.csv"
        cost = _multiply_adds(settings, splits.train.shape[-1])
        jobs[cell] = Job(
            _train, training, folder, f"{label}, {splits.dataset}", settings.updates, cost, product
        )
    return train_together(jobs, data)


def trainings(run: Run, cases: int) -> dict[Cell, Training]:
    """All trainings of the run, for `cases` training cases of MNIST."""
    s = run.settings
    bits = _small(s, batch_size=SMALL, chains=SMALL, scale=0.1)
    reals = _small(s, family="GaussianRBM", scale=0.5, amounts=Amounts(sd=DENOISED))
    plans = [(PATTERNS, s.criteria, s.pattern_rates, bits), (PLANE, REAL_CRITERIA, s.pattern_rates, reals)]
    plans += [(MNIST, s.mnist_criteria, s.mnist_rates, _large(s, cases, seed)) for seed in s.seeds]
    found = {}
    for part, criteria, rates, how in plans:
        for name in criteria:
            for rate in rates:
                settings = criterion_settings(name, rate=rate, **how)
                measurement = _measurement(s, settings) if part == MNIST else None
                found[Cell(part, name, rate, settings.seeds)] = Training(part, settings, measurement)
    return found


def criterion_settings(name: str, **others: Any) -> UnnormalisedSettings:
    """Those of a criterion by its name (`naming.CRITERION`), with Adam."""
    how: dict[str, Any] = {"optimiser": Optimiser("adam")} | others
    if name in WITHOUT_Z:
        return UnnormalisedSettings(criterion=identifier(name), **how)
    return sampler_settings(name, **how)


def identifier(name: str) -> str:
    """A criterion's name in `learning.criteria`: "noise_contrastive" for "noise contrastive"."""
    return name.replace(" ", "_").replace("-", "_")


def _small(s: Any, **others: Any) -> dict[str, Any]:
    """A machine whose hidden side is enumerated; all criteria take the torch road, so that their times compare."""
    every = math.ceil(s.pattern_updates / POINTS)
    return others | {
        **{"hidden": s.pattern_hidden, "updates": s.pattern_updates, "seeds": s.pattern_seeds},
        **{"eval_every": every, "chunk": every, "exact_units": s.pattern_hidden, "engine": "torch"},
    }


def _large(s: Any, cases: int, seed: int) -> dict[str, Any]:
    updates = whole(s.passes * cases / BATCH)
    every = whole(updates / s.evaluations)
    return {
        **{"hidden": s.hidden, "updates": updates, "seeds": (seed,), "batch_size": BATCH, "chains": BATCH},
        **{"eval_every": every, "chunk": every, "amounts": Amounts(units=s.units)},
    }


def _measurement(s: Any, settings: UnnormalisedSettings) -> Likelihood:
    return Likelihood(settings, Annealing("uniform", s.rungs, s.chains), s.test_cases, s.reverse_cases)


def _train(training: Training, data: Data, folder: Path, **options: Any) -> Measured:
    splits = getattr(data, training.part)
    if training.measurement:
        return train_and_measure(training.measurement, splits, folder, last=True, **options)
    return Measured(unnormalised.train(training.settings, splits, folder, **options), {})


def _multiply_adds(settings: UnnormalisedSettings, visible: int) -> float:
    """Of an update, about: a criterion that visits neighbours pays for each of them."""
    compiled = settings.resolved_engine == "kernel"
    return multiply_adds(settings, visible) * (
        1 if compiled else 1 + (settings.amounts.units or visible) / 10
    )
