"""An energy that no family has, spins coupled in pairs and in fours, trained without Z beside the Boltzmann machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.small_patterns import Patterns
from nvil_repro.reproduction.criteria_runs import SIDE, SMALL, criterion_settings
from nvil_repro.training import unnormalised
from nvil_repro.training.unnormalised_start import Start

if TYPE_CHECKING:
    import pandas

UNITS = SIDE * SIDE
PAIRS = torch.combinations(torch.arange(UNITS))  # [P, 2], all of them
CORNERS = torch.tensor([0, 1, SIDE, SIDE + 1])
SQUARES = torch.stack([CORNERS + SIDE * i + j for i in range(SIDE - 1) for j in range(SIDE - 1)])  # [Q, 4]
RATE = 0.03


class Spins(NamedTuple):
    """Couplings J of all pairs [R, P] and K of the squares of the lattice [R, Q]."""

    pairs: Tensor
    squares: Tensor


def uncoupled() -> Spins:
    """One replica, under which all states are as likely."""
    return Spins(torch.zeros(1, len(PAIRS)), torch.zeros(1, len(SQUARES)))


def log_unnormalised(theta: Spins, x: Tensor) -> Tensor:
    """log p*(x) = sum_ij J_ij s_i s_j + sum_ijkl K_ijkl s_i s_j s_k s_l with s = 2x - 1: [R, B].

    x: [R or 1, B, 16] in {0, 1}.
    """
    s = 2 * x - 1
    pairs = s[..., PAIRS].prod(-1) @ theta.pairs[..., None]
    squares = s[..., SQUARES].prod(-1) @ theta.squares[..., None]
    return (pairs + squares).squeeze(-1)


def by_flow(start: Start, patterns: Patterns, updates: int) -> pandas.DataFrame:
    """Exact validation log-likelihood, nats, before, half-way and at the end of training by minimum probability flow,
    of the model at `start` and of the Boltzmann machine.
    """
    import pandas

    how = {"rate": RATE, "updates": updates, "batch_size": SMALL, "exact_units": UNITS}
    how |= dict.fromkeys(("eval_every", "chunk"), math.ceil(updates / 2))
    lines = {}
    for family, own in ((start.family.name, start), ("Boltzmann", None)):
        settings = criterion_settings("minimum probability flow", family=family, **how)
        history = unnormalised.train(settings, patterns, own=own, progress="off").history
        lines[family] = {p["updates"]: p["value"] for p in history if p["split"] == "valid"}
    return (
        pandas.DataFrame(lines).T.rename_axis(columns="updates").assign(**{"the data's own": patterns.best})
    )
