"""log Z followed while a machine trains, by bridges between its persistent chains, beside the exact value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.simple_importance import simple_importance
from nvil_repro.evaluation.tracking import begin_tracking, track, tracked_estimate
from nvil_repro.files import settings_hash, write_atomic
from nvil_repro.models.rbm import RBM
from nvil_repro.reproduction.partition_answers import Material
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread
from nvil_repro.training.unnormalised import UnnormalisedMethod
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import checked_start, mean_of
from nvil_repro.trees import clone

POINTS = 60  # on the curve that is tracked


@dataclass(frozen=True)
class Tracking:
    """The first `updates` of a training with chains that persist, and how often log Z is enumerated meanwhile."""

    training: UnnormalisedSettings
    updates: int
    exact_points: int

    @property
    def file(self) -> str:
        """Where its points are kept."""
        code = code_hash(of=("reproduction/partition_tracking.py",))
        sizes = (self.updates, self.exact_points)
        return (
            f"tracking-{settings_hash({'training': self.training.hash, 'sizes': sizes, 'code': code})}.json"
        )


class Point(NamedTuple):
    """log Z after so many updates, in nats; `exact` where it was enumerated."""

    update: int
    log_z: float
    lower: float
    upper: float
    exact: float | None


def track_training(
    settings: Tracking,
    material: Material,
    folder: Path,
    *,
    title: str = "",
    progress: str | None = None,
    threads: int | None = None,
) -> list[Point]:
    """The points, from the folder if they are there: as `training.together.Job` calls it."""
    path = folder / settings.file
    if not path.is_file():
        with one_thread(), Progress(settings.updates, title, style=progress) as bar:
            write_atomic(path, json.dumps(list(points(settings, material, bar))))
    return [Point(*each) for each in json.loads(path.read_text())]


def points(settings: Tracking, material: Material, bar: Progress) -> Iterator[Point]:
    """From a start where simple importance sampling is enough: there the weights are nearly zero.

    An update moves the chains under the old parameters and then the parameters, so the chains that it leaves are
    samples of the model before it.
    """
    data, cheap = material.mnist, replace(settings.training, exact_units=0, annealed_chains=2, rungs=2)
    family, theta = checked_start(cheap, data)
    method = UnnormalisedMethod(cheap, family, theta, data.train, data.valid)
    state, seed = method.start(), settings.training.seeds[0]
    start = simple_importance(RBM, theta, mean=mean_of(data.train), seed=seed).estimate.log_z
    tracked = begin_tracking(clone(state.net), state.chains.clone(), start)
    drawn, enumerated = (_evenly(settings.updates, count) for count in (POINTS, settings.exact_points))
    for update in range(settings.updates + 1):
        if update in drawn | enumerated:
            _, *numbers, _ = tracked_estimate(tracked)
            exact = exact_log_partition(RBM, tracked.theta).item() if update in enumerated else None
            yield Point(update, *torch.cat(numbers).tolist(), exact)
            bar.report(f"log Z {tracked.log_z.item():.1f}")
        if update < settings.updates:
            before = clone(state.net)
            method.advance(state, update, 1)
            tracked = track(RBM, tracked, before, state.chains.clone())
            bar.step(1)


def _evenly(updates: int, count: int) -> set[int]:
    return {round(updates * k / count) for k in range(count + 1)}
