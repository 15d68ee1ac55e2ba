"""Energies of one's own in the loop: trained by what needs no log Z, their best parameters kept, misfits refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.models.rbm import RBM
from nvil_repro.models.unnormalised import REALS, energy_family
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from nvil_repro.training.unnormalised import train
from nvil_repro.training.unnormalised_likelihood import log_likelihood, log_partition
from nvil_repro.training.unnormalised_start import Start, checked_start
from tests.models.test_unnormalised import random_rbm
from tests.training.test_unnormalised import LONG, MEAN, SETTINGS, TOY, Reals, pairs, reals
from tests.training.toys import same


class Coupling(NamedTuple):
    """How much the two bits of a pair like to be the same."""

    coupling: Tensor  # [R, 1]


def _twins(theta: Coupling, x: Tensor) -> Tensor:
    spins = 2 * x - 1
    return theta.coupling.reshape(-1, 1) * (spins[..., 3:] * spins[..., :3]).sum(-1)


TWINS = energy_family("twins", _twins, visible=6)
OF_TWINS = replace(LONG, family="twins", criterion="pseudolikelihood", centred=False, scale=0.0, seeds=(0, 1))


def test_a_single_number_is_trained_and_its_best_value_kept() -> None:
    theta = Coupling(torch.zeros(2, 1))
    result = train(OF_TWINS, pairs(), own=Start(TWINS, theta), progress="off")
    assert result.best.net.coupling.abs().min() > 0.001  # control: it began at 0
    again = log_likelihood(
        TWINS, result.best.net, pairs().valid, log_partition(TWINS, result.best.net, MEAN, OF_TWINS)
    )
    torch.testing.assert_close(again.mean, result.best.value, rtol=0, atol=1e-6)


def test_a_parameter_without_an_axis_of_its_own_is_refused() -> None:
    """Nothing would tell it from what all replicas share."""
    with pytest.raises(
        SettingsError, match=r"coupling of twins has one axis: expected .* \[R, 1\] for a number"
    ):
        train(OF_TWINS, pairs(), own=Start(TWINS, Coupling(torch.zeros(2))), progress="off")


class Precision(NamedTuple):
    log_precision: Tensor  # [R, D]


def test_an_energy_of_ones_own_learns_by_what_needs_no_log_z() -> None:
    """Without a base the criterion itself is tracked; of a normal, score matching finds the precision."""
    family = energy_family(
        "normal",
        lambda t, x: -(x.square() * t.log_precision.exp()[:, None]).sum(-1) / 2,
        visible=2,
        support=REALS,
    )
    data = Reals(reals().train / 2, reals().valid / 2)
    own = Start(family, Precision(torch.ones(1, 2)))
    settings = replace(
        SETTINGS,
        family="normal",
        criterion="score_matching",
        centred=False,
        batch_size=160,
        optimiser=Optimiser(),
        updates=100,
        eval_every=100,
        chunk=100,
        falling=False,
    )
    result = train(settings, data, own=own, progress="off")
    torch.testing.assert_close(
        result.final.log_precision[0].exp(), 1 / data.train.square().mean(0), rtol=1e-3, atol=0
    )
    assert {row["metric"] for row in result.history} == {"score_matching"}
    assert torch.equal(own.theta.log_precision, torch.ones(1, 2))  # the start is left as it is
    with pytest.raises(ValueError, match="normal has no Gibbs step"):
        train(replace(settings, criterion="pcd"), data, own=own, progress="off")
    with pytest.raises(ValueError, match="log Z of normal can be neither enumerated"):
        train(replace(settings, criterion="exact"), data, own=own, progress="off")
    with pytest.raises(
        SettingsError, match="family='RBM' with 1 seeds, and a start of 'normal' with 1 replicas"
    ):
        train(replace(settings, family="RBM"), data, own=own, progress="off")


def test_a_name_that_is_taken_is_no_name_for_an_energy_of_ones_own() -> None:
    """By its name the compiled RBM would train in its place."""
    settings = replace(SETTINGS, centred=False, engine="auto", criterion="cd")
    _, theta = checked_start(settings, pairs())
    assert checked_start(settings, pairs(), Start(RBM, theta)).family is RBM
    taken = energy_family("RBM", lambda t, x: -RBM.log_unnormalised(t, x), visible=6)
    with pytest.raises(SettingsError, match="a family of your own named 'RBM': that name belongs to"):
        checked_start(settings, pairs(), Start(taken, theta))


def test_a_start_of_ones_own_names_the_run(tmp_path: Path) -> None:
    theta = random_rbm(6, 3, replicas=1)
    own, other = Start(RBM, theta), Start(RBM, theta._replace(weight=2 * theta.weight))
    toy = TOY._replace(train=partial(train, own=own))
    straight = toy.run()
    toy.stop(tmp_path, 2)
    assert same(toy.run(tmp_path), straight)
    for changed in (other, None):
        with pytest.raises(SettingsChangedError, match="start: "):
            train(SETTINGS, pairs(), tmp_path, own=changed, progress="off")
