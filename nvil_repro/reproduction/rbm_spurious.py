"""A mode that no data supports (Deep Learning, Figure 18.2), planted into machines that learn bars and stripes.

A hidden unit of weights s (2y - 1) and bias a - s sum y multiplies p*(x) by 1 + exp(a - s d) for an x of d bits other
than y: it raises the neighbourhood of y and nothing else. The planted y is a chessboard, of whose bits every pattern
has half wrong, so that a chain from a pattern needs many steps to come near.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.small_patterns import bars_and_stripes
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import state_probabilities
from nvil_repro.models.rbm import RBM, Rbm, rbm
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.rbm_line import looks
from nvil_repro.reproduction.rbm_patterns import RATE, SIDE, WrongState, wrong_modes
from nvil_repro.reproduction.rbm_systems import sampler_settings
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.training.progress import Progress
from nvil_repro.training.threads import one_thread
from nvil_repro.training.unnormalised import UnnormalisedMethod
from nvil_repro.training.unnormalised_start import mean_of
from nvil_repro.trees import clone, view

STEEP, TALL = 3.0, 10.0  # s, and a: together about half of all mass
RADIUS = 2  # bits around the planted mode that are counted as its own
SHARE = 10  # of the updates on patterns, one in so many
METRIC = "planted_mass"


class Look(NamedTuple):
    """A machine after so many updates, and the probability of the planted mode's neighbourhood."""

    update: int
    theta: Rbm
    mass: Tensor  # [R]


def chessboard() -> Tensor:
    """The planted state [D]."""
    places = torch.arange(SIDE)
    return ((places[:, None] + places) % 2).flatten()


def planted(hidden: int, seeds: tuple[int, ...]) -> Rbm:
    """Fresh machines, a seed each, whose last hidden unit holds the planted mode."""
    theta, y = rbm(hidden + 1, seeds, mean=mean_of(bars_and_stripes(SIDE).train)), chessboard().float()
    theta.weight[..., -1] = STEEP * (2 * y - 1)
    theta.hidden_bias[..., -1] = TALL - STEEP * y.sum()
    return theta


def mass_near(theta: Rbm, y: Tensor, radius: int) -> Tensor:
    """The exact probability of all states of at most `radius` bits other than y [D]: [R]."""
    near = (enumerate_bits(len(y)) != y).sum(-1) <= radius
    return state_probabilities(RBM, theta)[:, near].sum(-1)


def unlearn(run: Run) -> dict[str, list[Look]]:
    """Train the planted machines on bars and stripes by every negative phase, looking ever less often."""
    s, found = run.settings, {}
    with one_thread(), Progress(len(s.pattern_samplers), "Planted mode", unit="run") as progress:
        for name in s.pattern_samplers:
            found[name] = list(_looks(run, name))
            progress.step(1)
    return found


def _looks(run: Run, name: str) -> Iterator[Look]:
    s, data = run.settings, bars_and_stripes(SIDE)
    updates = max(1, s.pattern_updates // SHARE)
    settings = sampler_settings(
        name, hidden=s.pattern_hidden + 1, updates=updates, seeds=s.pattern_seeds, rate=RATE, growing=False,
        batch_size=len(data.train), chains=len(data.train), exact_units=SIDE**2,
    )  # fmt: skip
    begin = planted(s.pattern_hidden, s.pattern_seeds)
    method = UnnormalisedMethod(settings, RBM, begin, data.train, data.valid, threads=1)
    state, done = method.start(), 0
    for update in looks(updates):
        if update > done:
            method.advance(state, done, update - done)
        done = update
        yield Look(update, clone(state.net), mass_near(state.net, chessboard(), RADIUS))


def planted_rows(run: Run, found: Mapping[str, list[Look]]) -> Iterator[Row]:
    """The mass of the planted mode at every look."""
    s, dataset = run.settings, bars_and_stripes(SIDE).dataset
    for name, seen in found.items():
        row = partial(
            result_row, run, dataset=dataset, model="RBM", layers=(s.pattern_hidden + 1,), method=name, split="train",
            variant="planted mode", metric=METRIC, note="probability, exact", threads=1,
        )  # fmt: skip
        for look in seen:
            for seed, mass in zip(s.pattern_seeds, look.mass.tolist(), strict=True):
                yield row(seed=seed, updates=look.update, value=mass)


def wrong_states(found: Mapping[str, list[Look]], count: int = 10) -> dict[str, list[WrongState]]:
    """The likeliest wrong modes that the machines of the first seed end with."""
    patterns = bars_and_stripes(SIDE).patterns
    return {name: wrong_modes(view(seen[-1].theta, 0), patterns, count) for name, seen in found.items()}
