"""The Markov chains of a training run: where they begin, and how an update moves them, by streams of its seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nvil_repro.counters import counter_uniforms
from nvil_repro.learning.markov_chains import fresh, sampler, walk
from nvil_repro.learning.tempering import rungs, temper
from nvil_repro.models.unnormalised import Family
from nvil_repro.streams import uniforms
from nvil_repro.training.unnormalised_settings import KEPT, UnnormalisedSettings
from nvil_repro.trees import view


def first_chains(settings: UnnormalisedSettings, family: Family, theta: Any, mean: Tensor) -> Tensor:
    """Samples of the base for data of this mean [D] for chains that persist: [R, C, D], with temperatures [R, M, C, D],
    and no chain (C = 0) for others.
    """
    s = settings
    if s.criterion not in KEPT:
        return theta[0].new_empty(len(s.seeds), 0, family.visible(theta))
    _, count = sampler(family)
    shape = (s.temperatures * s.chains, count(theta))
    each = (uniforms(seed, "chains", 0, shape, theta[0].dtype) for seed in s.seeds)
    chains = torch.cat([fresh(family, view(theta, r), u, mean) for r, u in enumerate(each)])
    return chains if s.temperatures == 1 else chains.unflatten(1, (s.temperatures, s.chains))


def chain(
    settings: UnnormalisedSettings, family: Family, theta: Any, mean: Tensor, seed: int, update: int
) -> Callable[[Any, Tensor], Tensor]:
    """move(model, states): what the Markov chain of this update makes of states, under theta or what overlays it."""
    s, (_, count) = settings, sampler(family)
    each, dtype = (s.batch_size if s.criterion == "cd" else s.chains, count(theta)), theta[0].dtype

    def draw(name: str, *shape: int) -> tuple[Tensor, ...]:  # those that compiled code draws for itself
        return counter_uniforms(seed, name, update, (s.steps_at(update), *shape), dtype).unbind()

    if s.temperatures > 1:
        both = zip(
            draw("gibbs", s.temperatures, *each), draw("swaps", s.temperatures - 1, each[0]), strict=True
        )
        return lambda model, states: temper(family, rungs(family, model, s.temperatures, mean), states, both)
    steps = draw("gibbs", *each)
    if s.criterion == "naive":
        begin = fresh(family, theta, uniforms(seed, "fresh", update, each, dtype))
        return lambda model, _: walk(family, model, begin, steps)
    return lambda model, states: walk(family, model, states, steps)
