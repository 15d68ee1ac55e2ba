"""RBMs on bars and stripes by every negative phase: exact log-likelihood, and where their mass lies, state by state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.small_patterns import Patterns, bars_and_stripes
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.evaluation.state_distributions import spurious_mass, state_bits
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.rbm_systems import MODULE, multiply_adds, sampler_settings
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.together import Job, train_together
from nvil_repro.training.unnormalised import UnnormalisedState, train

SIDE = 4
SCALE = 0.1  # standard deviation of the weights at the start
RATE = 0.1  # falls linearly, to zero at the end
POINTS = 25  # evaluations
RADII = (0, 1, 2, 3)  # bits; mass further than these from every pattern is told

Trained = TrainResult[UnnormalisedState]


class WrongState(NamedTuple):
    """A state that is no pattern, uphill of all states one bit away, and its probability."""

    state: Tensor  # [D]
    probability: float


def train_patterns(run: Run) -> dict[str, Trained]:
    """Every negative phase of the settings, all seeds side by side; an interrupted run goes on from its checkpoints.

    A minibatch is all cases, so that nothing but the negative phase differs or is random; chains are as many as cases.
    """
    s, data, jobs = run.settings, bars_and_stripes(SIDE), {}
    every = math.ceil(s.pattern_updates / POINTS)
    for name in s.pattern_samplers:
        settings = sampler_settings(
            name, hidden=s.pattern_hidden, updates=s.pattern_updates, seeds=s.pattern_seeds, rate=RATE,
            growing=False, batch_size=len(data.train), chains=len(data.train), eval_every=every, chunk=every,
            exact_units=SIDE**2, scale=SCALE,
        )  # fmt: skip
        title = f"RBM {s.pattern_hidden}, {name}, bars and stripes"
        folder = run_folder(run, data.dataset, title, settings, MODULE)
        jobs[name] = Job(train, settings, folder, title, settings.updates, multiply_adds(settings, SIDE**2))
    return train_together(jobs, data)


def pattern_rows(run: Run, trained: Mapping[str, Trained]) -> Iterator[Row]:
    """Exact log-likelihood along training, and at the end the mass further than each of `RADII` from every pattern."""
    data = bars_and_stripes(SIDE)
    for name, result in trained.items():
        row = partial(
            result_row, run, dataset=data.dataset, model="RBM", layers=(run.settings.pattern_hidden,), method=name,
            split="train", threads=1,
        )  # fmt: skip
        for point in result.history:
            if point["split"] == "valid":  # the training cases too
                shared = ("metric", "value", "n", "updates", "seconds", "note", "seed")
                yield row(**{field: point[field] for field in shared})
        yield from _mass_rows(row, result, data, run.settings.pattern_seeds)


def _mass_rows(
    row: Callable[..., Row], result: Trained, data: Patterns, seeds: tuple[int, ...]
) -> Iterator[Row]:
    for radius in RADII:
        mass = spurious_mass(RBM, result.final, data.patterns, radius).tolist()
        for seed, value in zip(seeds, mass, strict=True):
            note = "probability, exact"
            yield row(
                metric=f"mass_beyond_{radius}", seed=seed, updates=result.updates, value=value, note=note
            )


def wrong_modes(theta: Rbm, patterns: Tensor, count: int) -> list[WrongState]:
    """The `count` likeliest states of one machine that are no pattern and likelier than all states one bit away."""
    p = state_probabilities(RBM, theta)[0]
    states, visible = torch.arange(len(p)), patterns.shape[-1]
    peak = torch.ones(len(p), dtype=torch.bool)
    for j in range(visible):
        peak &= p > p[states ^ (1 << j)]
    known = (patterns.long() << torch.arange(visible)).sum(-1)
    peak[known] = False
    found = states[peak]
    best = found[p[found].argsort(descending=True)[:count]]
    return [WrongState(*pair) for pair in zip(state_bits(best, visible), p[best].tolist(), strict=True)]
