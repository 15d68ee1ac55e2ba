"""One update by Markov chains, its steps written out by hand in their order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.learning.centring import Offsets, from_centred, move, to_centred
from nvil_repro.learning.contrastive_divergence import contrastive_divergence
from nvil_repro.learning.fast_weights import followed, overlaid
from nvil_repro.learning.markov_chains import phases
from nvil_repro.models import rbm as rbms
from nvil_repro.models.rbm import RBM, Rbm, gibbs, gradient
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.unnormalised_plan import RbmPlan
from nvil_repro.training.unnormalised_update import update_rbm
from nvil_repro.trees import clone
from tests.models.test_unnormalised import EXACT, normals, random_rbm

X = (normals(1, 5, 4, seed=11) > 0).double()
CHAINS = (normals(2, 3, 4, seed=12) > 0).double()


def draws(cases: int) -> Tensor:
    return torch.rand(2, cases, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def close(found: Any, expected: Any) -> bool:
    return all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(found, expected, strict=True))


def test_plain_cd_is_a_step_along_the_cd_gradient() -> None:
    theta, u = random_rbm(), draws(5)
    share = torch.full((1, 5), 0.2, dtype=torch.float64)
    slopes, ends = contrastive_divergence(
        X, 2, lambda x, n: gibbs(theta, x, u[None, n]), lambda x: gradient(theta, x, share)
    )
    found, none = clone(theta), torch.empty(2, 0, 4).double()
    gap = update_rbm(found, (), none, None, None, X, u, RbmPlan("cd", Optimiser()), 0.1, 0)
    assert close(found, [p + 0.1 * slope for p, slope in zip(theta, slopes, strict=True)])
    levels = [rbms.log_unnormalised(theta, x).mean(-1) for x in (X, ends)]
    torch.testing.assert_close(gap, levels[0] - levels[1], **EXACT)
    short = clone(theta)
    update_rbm(short, (), none, None, None, X, u[:1], RbmPlan("cd", Optimiser()), 0.1, 0)
    assert not close(short, found)  # control


@pytest.mark.parametrize("broken", [None, "fast", "centre", "order", "decay", "chains"])
def test_all_steps_at_once_in_their_order(broken: str | None) -> None:
    """Fast weights, offsets, momentum and weight decay; each of the breaks makes a difference."""
    theta, u = random_rbm(), draws(3)
    fast = Rbm(normals(2, 4, 3, seed=6), normals(2, 4, seed=7), normals(2, 3, seed=8))
    offsets = Offsets(torch.sigmoid(normals(2, 4, seed=9)), torch.sigmoid(normals(2, 3, seed=10)))
    velocity = random_rbm()
    plan = RbmPlan("fpcd", Optimiser("momentum", decay=0.5), 0.1, 0.3, 0.9, True, 0.2)

    ends = CHAINS
    for each in u:
        ends = gibbs(theta if broken == "fast" else overlaid(theta, fast), ends, each[None])
    if broken == "chains":
        ends = CHAINS
    slopes, _ = phases(RBM, theta, X, ends)
    moved = move(offsets, X, torch.sigmoid(rbms.hidden_logits(theta, X)), 0.2)
    used = offsets if broken == "order" else moved
    if broken != "centre":
        slopes = to_centred(slopes, used)
    faster = followed(fast, from_centred(slopes, used), 0.3, 0.9)
    speed = Rbm(*(0.5 * v + slope for v, slope in zip(velocity, slopes, strict=True)))
    decay = 0.0 if broken == "decay" else 0.1
    step = speed._replace(weight=speed.weight - decay * theta.weight)
    back = from_centred(Rbm(*(0.05 * part for part in step)), used)
    expected = Rbm(*(p + s for p, s in zip(theta, back, strict=True))), speed, ends, faster, moved

    now = clone((theta, velocity, CHAINS, fast, offsets))
    update_rbm(now[0], (now[1],), *now[2:], X, u, plan, 0.05, 3)
    agree = [close(a, b) for a, b in zip(now, expected, strict=True)]
    assert all(agree) == (broken is None)


@pytest.mark.parametrize("part", Rbm._fields)
def test_fixed_parts_stay_whatever_else_moves(part: str) -> None:
    """Weights would decay, and fast ones follow."""
    plan = RbmPlan("fpcd", Optimiser("momentum"), weight_decay=0.1, fast_rate=0.3, fixed=(part,))
    for now in (plan, plan._replace(fixed=())):  # the second is the control
        found, velocity, fast = random_rbm(), *(Rbm(*map(torch.zeros_like, random_rbm())) for _ in range(2))
        update_rbm(found, (velocity,), clone(CHAINS), fast, None, X, draws(3), now, 0.1, 0)
        stayed = [
            name for name in Rbm._fields if torch.equal(getattr(found, name), getattr(random_rbm(), name))
        ]
        assert stayed == list(now.fixed)
