"""Parallel tempering: every trade in detailed balance, over all states of two enumerable models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.learning.markov_chains import walk
from nvil_repro.learning.tempering import log_swap_ratio, rungs, swap, temper
from nvil_repro.models import rbm as rbms
from nvil_repro.models.rbm import RBM
from nvil_repro.models.unnormalised import energy_family
from tests.models.test_unnormalised import EXACT, probabilities, random_rbm

THETA = random_rbm(3, 2)
MEAN = torch.tensor([0.2, 0.5, 0.9]).double()
STATES = enumerate_bits(3)
PAIRS = torch.cartesian_prod(torch.arange(8), torch.arange(8)).T  # x of the first model, x of the second


def acceptance(low: Tensor, high: Tensor) -> Tensor:
    """min(1, ratio) of all pairs of states: [R, 8, 8]."""
    models = rungs(RBM, THETA, 3, MEAN)
    ratio = log_swap_ratio(
        RBM, models[1], models[2], STATES[low].expand(2, -1, -1), STATES[high].expand(2, -1, -1)
    )
    return ratio.exp().clamp_max(1).view(2, 8, 8)


def test_rungs_lead_from_the_base_to_the_model() -> None:
    models = rungs(RBM, THETA, 3, MEAN)
    assert RBM.base is not None
    assert all(map(torch.equal, models[0], RBM.base(THETA, MEAN).theta))
    assert all(map(torch.equal, models[2], THETA))
    torch.testing.assert_close(models[1].weight, THETA.weight / 2, **EXACT)


def test_a_trade_is_in_detailed_balance() -> None:
    models = rungs(RBM, THETA, 3, MEAN)
    p, q = (probabilities(RBM, theta, STATES) for theta in models[1:])
    joint, accepted = p[:, :, None] * q[:, None], acceptance(*PAIRS)
    flow = joint * accepted
    torch.testing.assert_close(flow, flow.mT, **EXACT)
    assert (accepted < 0.9).any()
    always = joint * torch.ones_like(accepted)  # control
    assert (always - always.mT).abs().max() > 1e-3


def test_a_pair_trades_where_its_uniform_lies_below_that_chance() -> None:
    models, accepted = rungs(RBM, THETA, 3, MEAN)[1:], acceptance(*PAIRS).flatten(1)
    pairs = torch.stack([STATES[PAIRS[0]], STATES[PAIRS[1]]]).expand(2, -1, -1, -1)  # [R, M, C, D]
    for r in range(2):
        mine, theta = pairs[r : r + 1], [type(m)(*(part[r : r + 1] for part in m)) for m in models]
        for shift, trades in ((-1e-9, True), (1e-9, False)):
            u = (accepted[r] + shift)[None]
            open_ones = u < 1 if not trades else torch.ones_like(u, dtype=torch.bool)
            found = swap(RBM, theta, mine, u.clamp_max(1 - 1e-12))
            expected = mine.flip(1) if trades else mine
            assert torch.equal(found[:, :, open_ones[0]], expected[:, :, open_ones[0]])


def test_a_round_trades_even_pairs_then_odd_ones() -> None:
    models = rungs(RBM, THETA, 3, MEAN)
    x = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]).double()[None, :, None].expand(2, -1, -1, -1)
    found = swap(RBM, models, x, torch.zeros(2, 1).double())  # a uniform of 0 always trades
    assert torch.equal(found, x[:, [1, 2, 0]])
    still = x[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(swap(RBM, models, still, torch.full((2, 1), 0.999).double()), still)


def test_a_step_is_gibbs_of_each_model_and_a_round() -> None:
    models, generator = rungs(RBM, THETA, 3, MEAN), torch.Generator().manual_seed(1)
    draws = [
        (
            torch.rand(3, 4, 5, generator=generator, dtype=torch.float64),
            torch.rand(2, 4, generator=generator, dtype=torch.float64),
        )
        for _ in range(2)
    ]
    chains = STATES[:4].expand(2, 3, -1, -1)
    expected = chains
    for u, trades in draws:
        moved = [walk(RBM, theta, expected[:, m], [u[m]]) for m, theta in enumerate(models)]
        expected = swap(RBM, models, torch.stack(moved, 1), trades)
    assert torch.equal(temper(RBM, models, chains, draws), expected)
    assert not torch.equal(temper(RBM, models[::-1], chains, draws), expected)  # control


def test_what_cannot_be_tempered_is_refused() -> None:
    with pytest.raises(ValueError, match="1 temperature: expected at least 2"):
        rungs(RBM, THETA, 1)
    with pytest.raises(ValueError, match="mine has no base"):
        rungs(energy_family("mine", rbms.log_unnormalised, visible=3), THETA, 2)
