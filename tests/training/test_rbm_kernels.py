"""The compiled engine of RBMs against the torch road, fed the very uniforms that it draws for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from nvil_repro.counters import counter_uniforms
from nvil_repro.kernels.rbm import STREAM, advance_compiled
from nvil_repro.learning.centring import Offsets
from nvil_repro.models.rbm import Rbm
from nvil_repro.streams import stream
from nvil_repro.training.optimisers import MOMENTS, Optimiser
from nvil_repro.training.unnormalised_plan import PERSISTENT, RbmPlan
from nvil_repro.training.unnormalised_update import update_rbm
from nvil_repro.trees import clone, leaves, view
from tests.oracle import random_bits

SEEDS, UPDATES, CASES, CHAINS, VISIBLE, HIDDEN = (3, 1), 4, 6, 5, 19, 17
STEPS = [1, 3, 2, 2]


class State(NamedTuple):
    """All that updates move."""

    theta: Rbm
    moments: tuple[Rbm, ...]
    chains: Tensor
    fast: Rbm | None
    offsets: Offsets | None


def machines(scale: float = 1.0) -> Rbm:
    """Two of them, of random parameters."""
    draw, shapes = stream(0, "machines"), ((2, VISIBLE, HIDDEN), (2, VISIBLE), (2, HIDDEN))
    return Rbm(*(torch.from_numpy(scale * draw.standard_normal(shape)) for shape in shapes))


def start(plan: RbmPlan) -> State:
    """Nothing at its neutral value."""
    theta, draw = machines(0.3), stream(0, "offsets")
    fast = Rbm(*(part.flip(0) / 2 for part in theta)) if plan.criterion == "fpcd" else None
    shapes = ((2, VISIBLE), (2, HIDDEN))
    offsets = Offsets(*(torch.from_numpy(draw.random(shape)) for shape in shapes)) if plan.centred else None
    moments = tuple(Rbm(*map(torch.square, theta)) for _ in range(MOMENTS[plan.optimiser.name]))
    return State(theta, moments, random_bits(2, CHAINS, VISIBLE, seed=7), fast, offsets)


def minibatches() -> Tensor:
    return random_bits(2, UPDATES, CASES, VISIBLE, seed=3).to(torch.uint8)


RATES = [0.1, 0.2, 0.15, 0.05]


def compiled(
    state: State, plan: RbmPlan, *, threads: int = 1, seeds: Sequence[int] = SEEDS, x: Tensor | None = None
) -> Tensor:
    """UPDATES updates in place."""
    x = minibatches() if x is None else x
    rates = torch.tensor(RATES, dtype=torch.float64)
    return advance_compiled(*state, x, STEPS, rates, plan, seeds, 2, threads)


def by_torch(state: State, plan: RbmPlan) -> Tensor:
    """The same on the torch road, a replica at a time."""
    number = CHAINS if plan.criterion in PERSISTENT else CASES
    gaps = torch.empty(UPDATES, 2, dtype=torch.float64)
    for r, seed in enumerate(SEEDS):
        alone = view_of(state, r)
        for t, (cases, steps, rate) in enumerate(zip(minibatches()[r], STEPS, RATES, strict=True)):
            shape = (steps, number, HIDDEN + VISIBLE)
            u = counter_uniforms(seed, STREAM, 2 + t, shape, torch.float64)
            gaps[t, r] = update_rbm(*alone, cases[None].double(), u, plan, rate, 2 + t)
    return gaps


PLANS = {
    "cd": RbmPlan("cd", Optimiser("sgd")),
    "pcd": RbmPlan("pcd", Optimiser("sgd")),
    "fpcd": RbmPlan("fpcd", Optimiser("sgd"), fast_rate=0.3, fast_decay=0.8),
    "weight decay": RbmPlan("pcd", Optimiser("sgd"), weight_decay=0.1),
    "momentum": RbmPlan("cd", Optimiser("momentum"), weight_decay=0.1),
    "adam": RbmPlan("pcd", Optimiser("adam")),
    "centred": RbmPlan("pcd", Optimiser("momentum"), weight_decay=0.1, centred=True, offset_rate=0.2),
    "centred cd": RbmPlan("cd", Optimiser("adam"), centred=True, offset_rate=0.2),
    "centred fpcd": RbmPlan("fpcd", Optimiser("momentum"), fast_rate=0.3, centred=True, offset_rate=0.2),
}


def tensors(state: State) -> list[Tensor]:
    return [tensor for part in state if part is not None for _, tensor in leaves(part)]


def view_of(state: State, r: int) -> State:
    """One replica, on the same memory."""
    return State(*(None if part is None else view(part, r) for part in state))


def to_single(part: Any) -> Any:
    """A tensor, or those of a tuple of any depth, in float32."""
    if isinstance(part, Tensor):
        return part.float()
    inner = [to_single(each) for each in part]
    return type(part)(*inner) if hasattr(part, "_fields") else tuple(inner)


def difference(a: State, b: State) -> float:
    """The largest between any of their numbers."""
    return max(float((p - q).abs().max()) for p, q in zip(tensors(a), tensors(b), strict=True))


@pytest.mark.parametrize("name", PLANS)
def test_updates_are_those_of_the_torch_road(name: str) -> None:
    plan = PLANS[name]
    ours, theirs = start(plan), start(plan)
    begun = clone(ours)
    torch.testing.assert_close(compiled(ours, plan), by_torch(theirs, plan), rtol=0, atol=1e-10)
    assert difference(ours, theirs) < 1e-10
    assert difference(ours, begun) > 1e-2


def test_the_comparison_notices_one_other_bit_and_one_other_uniform() -> None:
    plan = PLANS["pcd"]
    ours, other, later = start(plan), start(plan), start(plan)
    compiled(ours, plan)
    x = minibatches()
    x[0, 2, 3, 4] = 1 - x[0, 2, 3, 4]
    compiled(other, plan, x=x)
    assert difference(ours, other) > 1e-3
    compiled(later, plan, seeds=(3, 2))
    assert difference(view_of(ours, 0), view_of(later, 0)) == 0
    assert difference(view_of(ours, 1), view_of(later, 1)) > 1e-3


@pytest.mark.parametrize("name", ["cd", "centred fpcd"])
def test_threads_companions_and_cuts_change_no_number(name: str) -> None:
    plan = PLANS[name]
    together = start(plan)
    gaps = compiled(together, plan, threads=2)
    for r, seed in enumerate(SEEDS):
        for threads in (1, 3):
            alone = view_of(start(plan), r)
            found = compiled(alone, plan, threads=threads, seeds=[seed], x=minibatches()[r : r + 1])
            assert torch.equal(found[:, 0], gaps[:, r])
            assert difference(alone, view_of(together, r)) == 0
    cut, rates = start(plan), torch.tensor(RATES, dtype=torch.float64)
    for t in range(UPDATES):
        now = minibatches()[:, t : t + 1], STEPS[t : t + 1], rates[t : t + 1]
        gap = advance_compiled(*cut, *now, plan, SEEDS, 2 + t, 1)
        assert torch.equal(gap[0], gaps[t])
    assert difference(cut, together) == 0


def test_single_precision_agrees() -> None:
    """For one update of bits that the rounding does not turn."""
    plan = PLANS["centred"]
    double, single = start(plan), start(plan)
    single = State(*(None if part is None else to_single(part) for part in single))
    for state in (double, single):
        rates = torch.tensor(RATES[:1], dtype=torch.float64)
        advance_compiled(*state, minibatches()[:, :1], [2], rates, plan, SEEDS, 0, 1)
    assert torch.equal(double.chains, single.chains.double())
    assert 0 < difference(double, single) < 1e-5
