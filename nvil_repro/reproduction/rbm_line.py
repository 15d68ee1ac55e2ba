"""Figure 18.1 of Deep Learning on a line: an RBM on the Gray code of its places, the density of data and of model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.small_patterns import Patterns, line, line_states
from nvil_repro.evaluation.criterion_quality import flat
from nvil_repro.evaluation.exact_partition import exact_gradient, state_probabilities
from nvil_repro.evaluation.state_distributions import state_index
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.threads import one_thread
from nvil_repro.training.unnormalised import UnnormalisedMethod
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import checked_start

BITS = 7
HIDDEN = 16
GROWTH = 1.35  # of the update from one moment to the next


class Moment(NamedTuple):
    """Model and data at the places of the line, in order, float64."""

    update: int
    data: Tensor  # [P]
    model: Tensor  # [P]
    gradient: float  # the length of the exact gradient of the mean log-likelihood

    @property
    def divergence(self) -> float:
        """The Kullback-Leibler divergence of the model from the data, in nats."""
        return float(torch.special.xlogy(self.data, self.data / self.model).sum())


def moments(updates: int, seed: int = 0) -> Iterator[Moment]:
    """A machine while it learns by the exact gradient: at the start, ever less often, and after the last update."""
    data = line(BITS)
    settings = UnnormalisedSettings(
        hidden=HIDDEN, criterion="exact", optimiser=Optimiser("adam"), rate=0.03, updates=updates, seeds=(seed,),
        batch_size=len(data.train), scale=0.1, dtype="float64", exact_units=BITS,
    )  # fmt: skip
    with one_thread():
        method = UnnormalisedMethod(
            settings, *checked_start(settings, data), data.train, data.valid, threads=1
        )
        state, done = method.start(), 0
        for update in looks(updates):
            if update > done:
                method.advance(state, done, update - done)
            done = update
            yield moment(update, state.net, data)


def looks(updates: int) -> list[int]:
    """Updates at which to look, rising, 0 and the last among them."""
    found, update = [0], 1.0
    while round(update) < updates:
        found.append(round(update))
        update = max(update + 1, update * GROWTH)
    return [*found, updates]


def moment(update: int, theta: Rbm, data: Patterns) -> Moment:
    """Both densities, and the gradient that is left, of one machine."""
    places = line_states(BITS)
    of_data = torch.zeros(len(places), dtype=torch.float64)
    of_data[state_index(data.patterns)] = data.probabilities
    order = state_index(places)
    gradient = flat(exact_gradient(RBM, theta, data.train)).norm().item()
    return Moment(update, of_data[order], state_probabilities(RBM, theta)[0, order], gradient)
