"""From a `TrainState` with its replica axis to what one replica's compiled loop reads, on the same memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.kernels.ascent import Layer, Trained
from nvil_repro.models.belief_net import parameters
from nvil_repro.training.advance import Plan, TrainState
from nvil_repro.training.optimisers import MOMENTS


class Net(NamedTuple):
    """One replica; layers visible-first."""

    centre: np.ndarray  # [D]
    model: tuple[Trained, ...]  # [i]: P(h^i | h^{i+1}), i = 0..L, the last without inputs
    inference: tuple[Trained, ...]  # [i]: Q(h^{i+1} | h^i)
    hidden: tuple[Trained, ...]  # the tanh units of each layer's baseline
    output: tuple[Trained, ...]  # their linear output


class How(NamedTuple):
    """What stays fixed for one replica."""

    rates: np.ndarray  # model, inference, baseline
    kind: int  # the optimiser, by its place in `MOMENTS`
    constants: np.ndarray  # decay, second decay, epsilon
    switches: np.ndarray  # `Ingredients`, in order
    alpha: float


def replica_net(state: TrainState, r: int) -> Net:
    """Replica r, its arrays writable views."""
    names = [name for name, _ in parameters(state.net)]
    values = dict(parameters(state.net))
    moments = [dict(zip(names, buffer, strict=True)) for buffer in state.moments]
    first = moments[0] if moments else values
    second = moments[1] if len(moments) > 1 else first
    layers = range(len(state.net.layers))

    def trained(weight: str, bias: str, lateral: str) -> Trained:
        sources = (values, first, second)
        return Trained(*(Layer(*(_matrix(s, name, r) for name in (weight, bias, lateral))) for s in sources))

    def conditional(prefix: str) -> Trained:
        return trained(f"{prefix}/weight", f"{prefix}/bias", f"{prefix}/lateral")

    return Net(
        state.net.centre.numpy(),
        (*(conditional(f"model/{i}") for i in layers), trained("", "model/prior", "model/prior_lateral")),
        tuple(conditional(f"inference/{i}") for i in layers),
        tuple(conditional(f"baseline/{i}/hidden") for i in layers),
        tuple(conditional(f"baseline/{i}/output") for i in layers),
    )


def replica_plan(plan: Plan, r: int, dtype: torch.dtype) -> How:
    """What `plan` says of replica r."""
    optimiser, like = plan.optimiser, torch.empty(0, dtype=dtype).numpy().dtype
    return How(
        np.array([float(rate[r]) for rate in plan.rates], dtype=like),
        list(MOMENTS).index(optimiser.name),
        np.array([optimiser.decay, optimiser.second_decay, optimiser.epsilon], dtype=like),
        np.array([bool(torch.as_tensor(switch)[r]) for switch in plan.ingredients]),
        plan.alpha,
    )


def _matrix(tensors: Mapping[str, Tensor], name: str, r: int) -> np.ndarray:
    """One replica of a parameter as a matrix, a bias as one row, and what is absent with no entries."""
    if name not in tensors:
        like = next(iter(tensors.values()))
        return like.new_zeros(0, like.shape[-1] if name == "" else 0).numpy()
    parameter = tensors[name][r]
    return parameter.reshape(-1, parameter.shape[-1]).numpy()
