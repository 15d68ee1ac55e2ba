"""From a `TrainState` with its replica axis to what one replica's compiled loop reads, on the same memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from nvil_repro.kernels.ascent import KINDS, Layer, Trained
from nvil_repro.models.belief_net import with_parameters
from nvil_repro.models.linear import Conditional, Linear
from nvil_repro.training.advance import Plan, TrainState


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
    kind: int  # the optimiser, one of `KINDS`
    constants: np.ndarray  # decay, second decay, epsilon, centre
    switches: np.ndarray  # `Ingredients`, in order
    alpha: float


def replica_net(state: TrainState, r: int) -> Net:
    """Replica r, its arrays writable views."""
    kept = [state.net, *(with_parameters(state.net, buffer) for buffer in state.moments)]
    nets = [*kept, state.net, state.net][:3]  # what the optimiser does not keep is never read

    def trained(layers: Iterable[Sequence[Conditional | Linear]]) -> tuple[Trained, ...]:
        """From the layers of the net and of its moments, side by side."""
        return tuple(Trained(*(_layer(each, r) for each in row)) for row in zip(*layers, strict=True))

    nothing = Layer(*(np.zeros(shape, state.net.centre.numpy().dtype) for shape in ((0, 0), (1, 0), (0, 0))))
    absent = (Trained(nothing, nothing, nothing),) * len(state.net.layers)
    return Net(
        state.net.centre.numpy(),
        trained((*net.generative, net.top) for net in nets),
        trained(net.recognition for net in nets),
        trained([c.hidden for c in net.baselines] for net in nets) or absent,
        trained([c.output for c in net.baselines] for net in nets) or absent,
    )


def replica_plan(plan: Plan, r: int, dtype: torch.dtype) -> How:
    """What `plan` says of replica r."""
    optimiser, like = plan.optimiser, torch.empty(0, dtype=dtype).numpy().dtype
    return How(
        np.array([float(rate[r]) for rate in plan.rates], dtype=like),
        KINDS[optimiser.name],
        np.array(optimiser.constants, dtype=like),
        np.array([bool(torch.as_tensor(switch)[r]) for switch in plan.ingredients]),
        plan.alpha,
    )


def _layer(conditional: Conditional | Linear, r: int) -> Layer:
    weight, bias, *lateral = (part[r].numpy() for part in conditional if part.ndim > 1)
    return Layer(weight, bias[None], lateral[0] if lateral else np.zeros((0, 0), weight.dtype))
