"""What the gradient of each criterion is worth beside that of the likelihood, at one and the same parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from nvil_repro.data.small_patterns import Patterns
from nvil_repro.evaluation.criterion_quality import GradientQuality, gradient_quality
from nvil_repro.evaluation.gradient_estimators import Task
from nvil_repro.models.rbm import RBM, Rbm, rbm
from nvil_repro.models.unnormalised import between
from nvil_repro.reproduction.criteria_runs import SMALL, identifier
from nvil_repro.reproduction.naming import WITHOUT_Z
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.threads import one_thread
from nvil_repro.training.unnormalised_start import mean_of
from nvil_repro.trees import view

WAYS = (
    0.25,
    0.5,
    0.75,
    1.0,
)  # of the straight line from a fresh machine to the one that likelihood has trained
MIDDLE = 0.5  # the one that tables show


def gradient_rows(run: Run, likelihood: TrainResult[Any], data: Patterns) -> Iterator[Row]:
    """Angle and length of each criterion's expected gradient beside the exact one, both exact, its noise over
    minibatches and chance, and the seconds it takes; at machines on the way to the one that `likelihood` trained.
    """
    names = {_estimator(name): name for name in run.settings.criteria}
    pairs = tuple((j, j + 1) for j in range(0, data.patterns.shape[-1], 2))  # of generalised pseudolikelihood
    with one_thread():
        for way, theta in machines(likelihood, data):
            task = Task(RBM, theta, data.patterns, data.probabilities, batch=SMALL, sets=pairs)
            expected = task.expected(names)
            for quality in gradient_quality(task.estimators(names), task.exact, run.settings.draws, expected):
                yield from _rows(run, data.dataset, names[quality.estimator], way, quality)


def machines(likelihood: TrainResult[Any], data: Patterns) -> Iterator[tuple[float, Rbm]]:
    """`WAYS` and the first seed's machines there."""
    trained = view(likelihood.final, 0)
    fresh = rbm(trained.hidden_bias.shape[-1], (0,), mean=mean_of(data.train))
    for way in WAYS:
        yield way, between(fresh, trained, way)


def _estimator(name: str) -> str:
    """Its name in `evaluation.gradient_estimators`."""
    return identifier(name) if name in WITHOUT_Z else name


def _rows(run: Run, dataset: str, name: str, way: float, quality: GradientQuality) -> Iterator[Row]:
    row = partial(
        result_row, run, dataset=dataset, model="RBM", layers=(run.settings.pattern_hidden,), method=name,
        variant=f"{way:g}", split="train", seed=run.settings.pattern_seeds[0], threads=1,
    )  # fmt: skip
    exact: dict[str, Any] = {"note": "exact, a sum over states"}
    yield row(metric="gradient_cosine", value=quality.cosine[0].item(), **exact)
    yield row(metric="gradient_length", value=quality.relative_norm[0].item(), **exact)
    yield row(metric="gradient_bias", value=quality.bias[0].item(), **exact)
    drawn: dict[str, Any] = {"n": quality.draws, "note": f"over {quality.draws:,} minibatches of {SMALL}"}
    yield row(metric="gradient_noise", value=quality.noise[0].item(), **drawn)
    yield row(metric="gradient_seconds", value=quality.seconds, **drawn)
