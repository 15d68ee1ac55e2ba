"""Unnormalised models in the loop: what training reaches, and runs that are stopped, resumed, shared out, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact_partition import exact_log_likelihood, exact_log_partition
from nvil_repro.learning.criteria import CRITERIA
from nvil_repro.models.rbm import RBM
from nvil_repro.models.unnormalised import REALS
from nvil_repro.training import unnormalised as module
from nvil_repro.training import unnormalised_chains
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.unnormalised import UnnormalisedMethod, train
from nvil_repro.training.unnormalised_chains import chain
from nvil_repro.training.unnormalised_criteria import drawn_gradient
from nvil_repro.training.unnormalised_likelihood import log_partition
from nvil_repro.training.unnormalised_settings import LIKELIHOOD, UnnormalisedSettings
from nvil_repro.training.unnormalised_start import checked_start, mean_of
from tests.models.test_unnormalised import random_rbm
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
    forget,
)
from tests.training.toys import Bits, same

SETTINGS = UnnormalisedSettings(
    hidden=3,
    updates=12,
    rate=0.5,
    criterion="fpcd",
    steps=2,
    chains=4,
    batch_size=8,
    optimiser=Optimiser("momentum"),
    centred=True,
    scale=1.0,
    eval_every=6,
    chunk=3,
    engine="torch",
    checkpoint_seconds=0,
)
LONG = replace(
    SETTINGS,
    optimiser=Optimiser(),
    rate=1.0,
    fast_rate=0.1,
    chains=40,
    batch_size=40,
    updates=100,
    eval_every=100,
    chunk=100,
)


class Reals(NamedTuple):
    train: Tensor
    valid: Tensor
    dataset: str = "toy"


def pairs() -> Bits:
    """Three fair bits and three that are nine times in ten the same: what independent bits cannot say."""
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(200, 3, generator=generator) < 0.5
    second = first ^ (torch.rand(200, 3, generator=generator) < 0.1)
    x = torch.cat([first, second], 1).to(torch.uint8)
    return Bits(x[:160], x[160:])


MEAN = torch.full((6,), 0.5)
TOY = Toy(train, UnnormalisedMethod, SETTINGS, pairs())


@pytest.mark.parametrize("chunk", [1, 10])
def test_a_model_that_diverges_says_at_which_update(chunk: int) -> None:
    settings = UnnormalisedSettings(
        family="GaussianRBM", hidden=6, criterion="pcd", updates=20, eval_every=20, chunk=chunk, batch_size=50,
        rate=2.0, exact_units=12, falling=False,
    )  # fmt: skip
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    diverged = train(settings, Reals(x[:150], x[150:]), progress="off").diverged[0]
    assert 1 < diverged <= 10
    assert diverged == train(replace(settings, chunk=2), Reals(x[:150], x[150:]), progress="off").diverged[0]


def test_parameters_too_large_for_annealing_end_no_run() -> None:
    settings = UnnormalisedSettings(
        hidden=14, criterion="pcd", updates=40, eval_every=10, chunk=10, batch_size=50, rate=1e38, exact_units=0,
        rungs=20, annealed_chains=10, engine="torch", falling=False,
    )  # fmt: skip
    x = (torch.rand(200, 16, generator=torch.Generator().manual_seed(0)) < 0.4).to(torch.uint8)
    wild = train(settings, Bits(x[:150], x[150:]), progress="off")
    assert wild.diverged.keys() == {0}
    assert not train(replace(settings, rate=0.01), Bits(x[:150], x[150:]), progress="off").diverged  # control


def test_criteria_draw_anew_at_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(*given: Any, **more: Any) -> Any:
        asked.append(given[-1])
        assert given[-2] == "criterion"
        return drawn_gradient(*given, **more)

    monkeypatch.setattr(module, "drawn_gradient", noted)
    train(replace(SETTINGS, criterion="noise_contrastive", centred=False), pairs(), progress="off")
    assert asked == list(range(12))


def test_naive_chains_begin_anew_at_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unnormalised_chains, "walk", lambda family, theta, begin, steps: begin)
    settings, theta, kept = replace(SETTINGS, criterion="naive"), random_rbm(6, 3, 1), torch.zeros(1, 8, 6)
    first, again, second = (chain(settings, RBM, theta, MEAN, 0, u)(theta, kept) for u in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, kept)


def reals() -> Reals:
    """Two clouds, and no normal is like them."""
    generator = torch.Generator().manual_seed(0)
    side = (torch.rand(200, 1, generator=generator) < 0.5).float() * 4 - 2
    x = side + 0.5 * torch.randn(200, 2, generator=generator)
    return Reals(x[:160], x[160:])


def reached(settings: UnnormalisedSettings, data: Any = None) -> list[float]:
    """The metric on validation cases at the first and the last evaluation."""
    result = train(settings, data or pairs(), progress="off")
    values = [row["value"] for row in result.history if row["split"] == "valid"]
    return [values[0], values[-1]]


@pytest.mark.parametrize(
    "changes",
    [
        *({"criterion": name} for name in LIKELIHOOD),
        *({"criterion": name} for name, c in CRITERIA.items() if c.support != REALS),
        {"criterion": "pcd", "temperatures": 3},
        {"criterion": "cd", "growing": True},
        {"criterion": "self_contrastive", "temperatures": 2},
        {"criterion": "exact", "family": "Boltzmann", "centred": False},
    ],
    ids=str,
)
def test_every_criterion_learns_what_independent_bits_cannot_say(changes: dict[str, Any]) -> None:
    before, after = reached(replace(LONG, **changes))
    assert before < -4.1
    assert after > -4.0  # the best of independent bits: -6 log 2 = -4.16 nats
    assert (
        reached(replace(LONG, rate=0.0, updates=1, eval_every=1, chunk=1, **changes))[1] == before
    )  # control


@pytest.mark.parametrize("criterion", ["cd", "score_matching", "denoising_score_matching"])
def test_reals_are_learned_too(criterion: str) -> None:
    before, after = reached(
        replace(LONG, family="GaussianRBM", criterion=criterion, centred=False, rate=0.05), reals()
    )
    assert after > before + 0.2


def test_the_value_is_the_exact_log_likelihood_and_annealing_agrees() -> None:
    result = train(SETTINGS, pairs(), progress="off")
    exact = exact_log_likelihood(RBM, result.final, pairs().valid).mean()
    assert result.history[-2]["value"] == pytest.approx(exact.item(), abs=1e-5)
    annealed = log_partition(RBM, result.final, mean_of(pairs().train), replace(SETTINGS, exact_units=2))
    assert (annealed.value - exact_log_partition(RBM, result.final)).abs() < 5 * annealed.stderr
    assert 0 < annealed.stderr < 0.1


def test_companions_and_threads_change_no_number() -> None:
    toy = TOY._replace(settings=replace(SETTINGS, temperatures=2))
    check_companions(toy)
    check_threads(toy)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("criterion", ["fpcd", "cd", "noise_contrastive"])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, criterion: str, after: bool) -> None:
    toy = TOY._replace(settings=replace(SETTINGS, criterion=criterion))
    check_resumes(toy, tmp_path, (2, 4) if after else (1, 3), after=after)


@pytest.mark.parametrize("part", ["moments", "chains", "fast", "offsets"])
def test_the_comparison_notices_a_run_that_forgets(part: str, tmp_path: Path) -> None:
    toy = TOY._replace(settings=replace(SETTINGS, steps=1, chunk=1))  # chains driven alike soon meet
    check_forgetting_is_noticed(toy, tmp_path, 3, forget(part))


def test_compiled_updates_learn_too_and_resume(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    settings = replace(
        LONG, engine="kernel", chunk=50, eval_every=50, optimiser=Optimiser("momentum"), rate=0.1
    )
    straight = train(settings, pairs(), progress="off")
    values = [row["value"] for row in straight.history if row["split"] == "valid"]
    assert values[-1] > -4.0
    toy = TOY._replace(settings=settings)
    toy.stop(tmp_path, 2)
    assert same(toy.run(tmp_path), straight)
    assert replace(settings, engine="torch").hash != settings.hash == replace(settings, engine="auto").hash


def test_a_diverged_model_is_recorded_and_its_companion_goes_on() -> None:
    wild = replace(SETTINGS, rate=3e38, criterion="exact", optimiser=Optimiser("momentum"))
    result = train(wild, pairs(), progress="off")
    assert 0 in result.diverged
    assert result.history[-1]["note"].startswith("diverged at update")
    assert not train(SETTINGS, pairs(), progress="off").diverged


@pytest.mark.parametrize("criterion", ["cd", "pcd", "fpcd"])
def test_the_two_engines_draw_the_same_and_agree(criterion: str) -> None:
    pytest.importorskip("numba")
    settings = replace(SETTINGS, criterion=criterion, dtype="float32", rate=0.05, updates=6)
    nets = [
        train(replace(settings, engine=name), pairs(), progress="off").final for name in ("kernel", "torch")
    ]
    for compiled, plain in zip(*nets, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-5)
    other = train(replace(settings, engine="torch", seeds=(1,)), pairs(), progress="off").final
    assert (other[0] - nets[0][0]).abs().max() > 1e-3  # control


def test_naive_chains_forget_and_persistent_ones_go_on() -> None:
    theta, mean = random_rbm(6, 3, replicas=1), torch.full((6,), 0.5).double()
    ones, zeros = torch.ones(1, 4, 6).double(), torch.zeros(1, 4, 6).double()
    for criterion, forgets in (("naive", True), ("pcd", False)):
        settings = replace(SETTINGS, criterion=criterion, steps=1)
        ends = [chain(settings, RBM, theta, mean, 0, 0)(theta, begin) for begin in (ones, zeros)]
        assert torch.equal(*ends) == forgets


@pytest.mark.parametrize(
    ("change", "data", "message"),
    [
        ({}, reals(), "train is torch.float32: expected bits"),
        ({}, Bits(pairs().train[:7], pairs().valid), "train has 7 cases: expected at least 8"),
        (
            {"family": "RMB", "centred": False},
            pairs(),
            "family='RMB': expected one of RBM, GaussianRBM, Boltzmann",
        ),
        ({"fixed": ("sd",), "centred": False}, pairs(), "'sd'} is none of weight, visible_bias, hidden_bias"),
        (
            {"criterion": "score_matching"},
            pairs(),
            "score_matching is for models of reals, and the visible units of",
        ),
        ({"family": "GaussianRBM", "centred": False}, pairs(), "expects finite floats"),
        (
            {"family": "GaussianRBM", "centred": False, "criterion": "ratio_matching"},
            reals(),
            "ratio_matching is for models of bits",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused_before_any_work(
    tmp_path: Path, change: dict[str, Any], data: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train(replace(SETTINGS, **change), data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()


def test_a_start_is_near_the_mean_of_the_data() -> None:
    start = checked_start(replace(SETTINGS, dtype="float64"), pairs())
    assert start.family is RBM
    p = torch.sigmoid(start.theta.visible_bias[0])
    assert (p - mean_of(pairs().train)).abs().max() < 0.03
