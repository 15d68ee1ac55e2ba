"""A machine small enough to sum over every path of a chain, with its models along the way from the base."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import Path, annealing_path, known_base
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.models import rbm as rbms
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import between
from tests.models.test_unnormalised import random_rbm

EXACT = {"rtol": 0, "atol": 1e-10}
MEAN = torch.tensor([0.8, 0.3], dtype=torch.float64)
STATES = enumerate_bits(2)  # x of the machine, [4, 2]


def machine() -> Rbm:
    """Two replicas of 2 visible and 3 hidden units."""
    return random_rbm(2, 3)


def path() -> Path:
    return annealing_path(RBM, machine(), MEAN)


def log_f(b: float) -> Tensor:
    """log f_b of every state: [R, 4]."""
    theta = between(known_base(RBM, machine(), MEAN).theta, machine(), b)
    return RBM.log_unnormalised(theta, STATES[None])


def transition(b: float) -> Tensor:
    """p(x' | x) of a Gibbs step at b, sum_h p(h | x) p(x' | h): [R, 4, 4]."""
    theta, hidden = between(known_base(RBM, machine(), MEAN).theta, machine(), b), enumerate_bits(3)
    up = torch.sigmoid(rbms.hidden_logits(theta, STATES[None]))[:, :, None]
    down = torch.sigmoid(rbms.visible_logits(theta, hidden[None]))[:, :, None]
    of_h = torch.where(hidden > 0, up, 1 - up).prod(-1)
    of_x = torch.where(STATES > 0, down, 1 - down).prod(-1)
    return of_h @ of_x


def all_of(*sizes: int) -> tuple[Tensor, ...]:
    """Every combination of indices below these sizes, a column each: [C]."""
    return torch.tensor(list(itertools.product(*map(range, sizes)))).unbind(-1)


def scripted(states: list[Tensor]) -> Path:
    """The machine's path, of which the steps lead to these states [C] in turn."""
    real, turn = path(), iter(states)

    def step(state: Any, b: float, uniforms: Tensor) -> Any:
        return real.enter(STATES[next(turn)][None])

    return real._replace(step=step)
