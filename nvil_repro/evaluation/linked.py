"""Linked importance sampling of log Z (Neal 2005): a run of states at every rung of a ladder, each linked to the next.

At rung j a chain of S states leaves f_j as it is; one of them, drawn by its bridge weight sqrt(f_{j+1} / f_j), also
begins the run of rung j + 1, at a place drawn evenly among S. Then

    r = prod_j  mean_s sqrt(f_{j+1} / f_j)(x_{j,s})  /  mean_s sqrt(f_j / f_{j+1})(x_{j+1,s})

has the mean Z / Z_0 exactly, though every ratio is a bridge's. A run extends either way from its link, by the same step
since the step is its own reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws
from nvil_repro.evaluation.ladders import checked_ladder
from nvil_repro.evaluation.partition_estimate import PartitionEstimate, check_chains, of_weights
from nvil_repro.models.unnormalised import Family
from nvil_repro.streams import uniforms

State = TypeVar("State")


@torch.no_grad()
def linked_importance(
    family: Family,
    theta: Any,
    *,
    ladder: Sequence[float],
    states: int = 10,
    chains: int = 100,
    mean: Tensor | None = None,
    seed: int = 0,
) -> PartitionEstimate:
    """log Z by C `chains` of linked runs, of `states` S at every rung; it costs S times what AIS does.

    Errors: `ValueError` for a family whose step is not its own reverse, as that of hidden units and back is and a sweep
    over units is not; for fewer than two states or chains; as `partition.ais`.
    """
    if family.hidden is None:
        raise ValueError(
            f"the Gibbs step of {family.name} is not its own reverse: use partition.ais or bridge"
        )
    if states < 2:
        raise ValueError(f"states={states}: expected at least 2 a rung")
    check_chains(chains)
    path = annealing_path(family, theta, mean)

    def step(state: Any, b: float, k: int, n: int) -> Any:
        return path.step(state, b, draws(path, chains, seed, "linked", k * states + n))

    def place(k: int) -> Tensor:
        return (uniforms(seed, "linked/place", k, (chains,), torch.float64) * states).long()

    def choose(k: int, log_weights: Tensor) -> Tensor:
        edges = log_weights.softmax(-1).cumsum(-1)[..., :-1]
        return (uniforms(seed, "linked/choose", k, (chains, 1), torch.float64) >= edges).sum(-1)

    start = begin(path, chains, seed, "linked")
    log_weights = linked_log_weights(
        checked_ladder(ladder), start, states, path.log_ratio, step, place, choose
    )
    return of_weights("linked importance sampling", path.log_z, log_weights)


def linked_log_weights(
    ladder: Sequence[float],
    link: State,
    states: int,
    log_ratio: Callable[[State, float, float], Tensor],
    step: Callable[[State, float, int, int], State],
    place: Callable[[int], Tensor],
    choose: Callable[[int, Tensor], Tensor],
) -> Tensor:
    """log r of every chain, float64 [R, C]; `link` is a sample of the first rung.

    log_ratio(state, a, b) is log f_b - log f_a [R, C]; step(state, b, k, n), n from 1, is the n-th of rung k. What is
    drawn: place(k) [C], where in its run the link of rung k stands, and choose(k, log weights [R, C, S]) [R, C], which
    state is the next link.
    """
    total = torch.zeros((), dtype=torch.float64)
    for k, b in enumerate(ladder):
        run = _run(link, place(k), states, step, b, k)
        if k:
            down = torch.stack([log_ratio(state, b, ladder[k - 1]).double() / 2 for state in run], -1)
            total = total - _log_mean(down)
        if k + 1 < len(ladder):
            up = torch.stack([log_ratio(state, b, ladder[k + 1]).double() / 2 for state in run], -1)
            total, chosen = total + _log_mean(up), choose(k, up)
            link = _merge(run, partial(_pick, chosen))
    return total


def _run(
    link: State, place: Tensor, states: int, step: Callable[[State, float, int, int], State], b: float, k: int
) -> list[State]:
    """S states around the link: `place` steps to the one side, then from the link again to the other."""
    run = [link]
    for n in range(1, states):
        turn = place == n - 1
        run.append(step(_merge([link, run[-1]], partial(_where, turn)), b, k, n))
    return run


def _merge(states: Sequence[Any], join: Callable[[Sequence[Tensor]], Tensor]) -> Any:
    """One state of several, tensor by tensor."""
    if isinstance(states[0], Tensor):
        return join(states)
    return type(states[0])(*(_merge(parts, join) for parts in zip(*states, strict=True)))


def _where(mask: Tensor, parts: Sequence[Tensor]) -> Tensor:
    return torch.where(mask.view(-1, *[1] * (parts[0].ndim - 2)), parts[0], parts[1])


def _pick(chosen: Tensor, parts: Sequence[Tensor]) -> Tensor:
    replicas, chains = (torch.arange(n) for n in chosen.shape)
    return torch.stack(tuple(parts))[chosen, replicas[:, None], chains]


def _log_mean(log_values: Tensor) -> Tensor:
    return log_values.logsumexp(-1) - math.log(log_values.shape[-1])
