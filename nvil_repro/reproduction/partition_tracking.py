"""log Z followed while a machine trains, by bridges from update to update, beside the exact value.

The chains that train are at hand, and biased: an update lowers log p* just where they stand, and a bridge from there
takes that for a fall of log Z. Chains of its own, which no update has seen, cost a Gibbs step more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.simple_importance import simple_importance
from nvil_repro.evaluation.tracking import Tracked, begin_tracking, track, tracked_estimate
from nvil_repro.files import settings_hash, write_atomic
from nvil_repro.learning.markov_chains import fresh, walk
from nvil_repro.models.rbm import RBM
from nvil_repro.reproduction.partition_answers import REPORT_SECONDS, Material
from nvil_repro.reproduction.partition_methods import EXACT
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.streams import uniforms
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread
from nvil_repro.training.unnormalised import UnnormalisedMethod
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import checked_start, mean_of
from nvil_repro.trees import clone

POINTS = 60  # on the curves that are tracked
TRAINING, OWN = "tracking by the chains that train", "tracking by chains of its own"


@dataclass(frozen=True)
class Tracking:
    """The first `updates` of a training with chains that persist, and how often log Z is enumerated meanwhile.

    The training has at least one update more: its chains reach the last model by the step of the update that follows.
    """

    training: UnnormalisedSettings
    updates: int
    exact_points: int

    @property
    def steps(self) -> int:
        """From the parameters that training starts with to those after `updates`, of chains under each."""
        return self.updates + 1

    @property
    def file(self) -> str:
        """Where its points are kept."""
        code = code_hash(of=("reproduction/partition_tracking.py",))
        sizes = (self.updates, self.exact_points)
        return (
            f"tracking-{settings_hash({'training': self.training.hash, 'sizes': sizes, 'code': code})}.json"
        )


class Point(NamedTuple):
    """log Z in nats of the parameters after so many updates: by chains of a kind (`TRAINING`, `OWN`) or `EXACT`."""

    update: int
    by: str
    log_z: float
    lower: float
    upper: float


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
        with one_thread(), Progress(settings.steps, title, style=progress) as bar:
            write_atomic(path, json.dumps(list(points(settings, material, bar))))
    return [Point(*each) for each in json.loads(path.read_text())]


@torch.no_grad()
def points(settings: Tracking, material: Material, bar: Progress) -> Iterator[Point]:
    """By the chains that train the machine, and by as many that only follow it.

    Both start where simple importance sampling is enough: there the weights are nearly zero. An update moves the
    machine's chains under the old parameters and then the parameters, so that they are samples of the model before it.
    """
    data, cheap = material.mnist, replace(settings.training, exact_units=0, annealed_chains=2, rungs=2)
    (family, theta), seed, mean = checked_start(cheap, data), cheap.seeds[0], mean_of(data.train)
    method = UnnormalisedMethod(cheap, family, theta, data.train, data.valid)
    state, draw = method.start(), (cheap.chains, sum(theta.weight.shape[1:]))
    own = fresh(RBM, theta, uniforms(seed, "tracking", 0, draw), mean)
    start = simple_importance(RBM, theta, mean=mean, seed=seed).estimate.log_z
    tracked = {
        by: begin_tracking(clone(theta), chains.clone(), start)
        for by, chains in ((TRAINING, state.chains), (OWN, own))
    }
    drawn, enumerated = (_evenly(settings.updates, count) for count in (POINTS, settings.exact_points))
    told = time.monotonic()
    for update in range(settings.steps):
        before = clone(state.net)
        method.advance(state, update, 1)
        own = walk(RBM, before, own, [uniforms(seed, "tracking", update + 1, draw)])
        for by, chains in ((TRAINING, state.chains.clone()), (OWN, own)):
            tracked[by] = track(RBM, tracked[by], before, chains)
        if update in drawn | enumerated:
            yield from (Point(update, by, *_numbers(one)) for by, one in tracked.items())
        if update in enumerated:
            yield Point(update, EXACT, *[exact_log_partition(RBM, before).item()] * 3)
        bar.step(1)
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            bar.report(f"log Z {tracked[OWN].log_z.item():.1f}")


def _numbers(tracked: Tracked) -> list[float]:
    _, log_z, lower, upper, _ = tracked_estimate(tracked)
    return [log_z.item(), lower.item(), upper.item()]


def _evenly(updates: int, count: int) -> set[int]:
    return {round(updates * k / count) for k in range(count + 1)}
