"""log Z along training: each update's ratio Z(theta') / Z(theta) by a bridge between persistent chains.

An update moves the model little, so chains before and after it are samples of two densities that nearly agree (the
simplest form of Desjardins, Courville & Bengio 2011, who also track tempered models and weigh all of them in a Kalman
filter). They must be chains of their own: an update lowers p* just where the chains it was made from stand, so those
report a Z that falls with every update, nats below the truth within a hundred of them and outside its interval.
Errors add up: start from an estimate, and compare with one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.evaluation.bridge import of_bridge, optimal_bridge
from nvil_repro.evaluation.partition_estimate import PartitionEstimate
from nvil_repro.models.unnormalised import Family


class Tracked(NamedTuple):
    """A model on its way, chains x [R, C, D] that are samples of it, and what is known of its log Z."""

    theta: Any
    chains: Tensor
    log_z: Tensor  # [R], in nats, float64
    variance: Tensor  # [R], the sum of the bridges' own, as if all samples were independent
    ess: Tensor  # [R], of the weakest bridge so far


def begin_tracking(theta: Any, chains: Tensor, log_z: Tensor) -> Tracked:
    """From a model whose log Z [R] is known, as that of one without weights is.

    theta and chains are kept as they are: give copies of what training changes in place.
    """
    nothing = torch.zeros(len(theta[0]), dtype=torch.float64)
    return Tracked(theta, chains, log_z.double(), nothing, nothing + 2 * chains.shape[1])


@torch.no_grad()
def track(family: Family, state: Tracked, theta: Any, chains: Tensor) -> Tracked:
    """After an update to theta, of which `chains` [R, C, D] have by now become samples. Errors: as `optimal_bridge`."""
    first, second = (
        family.log_unnormalised(theta, x).double() - family.log_unnormalised(state.theta, x).double()
        for x in (state.chains, chains)
    )
    found = optimal_bridge(first, second)
    return Tracked(
        theta,
        chains,
        state.log_z + found.log_ratio,
        state.variance + found.variance,
        torch.minimum(state.ess, found.ess),
    )


def tracked_estimate(state: Tracked) -> PartitionEstimate:
    """What is known of log Z by now. Chains that mix slowly repeat themselves, which the interval does not know."""
    return of_bridge("tracking", state.log_z, state.variance, state.ess)
