"""NADE in the loop: the compiled engine against autograd, and a run that is stopped, resumed, shared out, refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.kernels import nade as kernel
from nvil_repro.models.nade import Nade, log_prob
from nvil_repro.training import nade as module
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.nade import NadeMethod, NadeSettings, train
from nvil_repro.training.optimisers import MOMENTS, Optimiser
from nvil_repro.training.settings import SettingsError
from nvil_repro.trees import clone
from tests.models.test_nade import random_nade
from tests.oracle import random_bits
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
    forget,
)
from tests.training.toys import Bits, toy_data

SETTINGS = NadeSettings(
    hidden=7, updates=25, rate=1e-2, batch_size=8, eval_every=10, chunk=5, checkpoint_seconds=0
)

TOY = Toy(train, NadeMethod, SETTINGS, toy_data())


def advance(
    net: Nade, moments: Sequence[Nade], x: Tensor, optimiser: Optimiser, rates: list[float]
) -> Tensor:
    """The minibatches x [T, B, D] for every replica."""
    each = [x.to(torch.uint8)] * len(net.bias)
    return kernel.advance_compiled(
        net, moments, each, torch.tensor(rates, dtype=torch.float64), optimiser, 0, 1
    )


@pytest.mark.parametrize("hidden", [1, 3, 8, 21])
@pytest.mark.parametrize("cases", [1, 4, 6])
def test_the_gradient_is_autograd_s(hidden: int, cases: int) -> None:
    """Read off a step of plain ascent at rate one."""
    start, x = random_nade(visible=9, hidden=hidden, replicas=2), random_bits(cases, 9)
    free = Nade(*(part.clone().requires_grad_() for part in start))
    log_likelihood = log_prob(free, x)
    gradients = torch.autograd.grad(log_likelihood.sum(), free)
    moved = clone(start)
    objective = advance(moved, (), x[None], Optimiser("sgd"), [1.0])
    torch.testing.assert_close(objective[0], log_likelihood.mean(-1), rtol=0, atol=1e-12)
    for new, old, gradient in zip(moved, start, gradients, strict=True):
        torch.testing.assert_close(new - old, gradient, rtol=0, atol=1e-10)


def test_the_comparison_notices_one_other_bit() -> None:
    start, x = random_nade(visible=9), random_bits(6, 9)
    other = x.clone()
    other[3, 4] = 1 - other[3, 4]
    a, b = clone(start), clone(start)
    for net, cases in ((a, x), (b, other)):
        advance(net, (), cases[None], Optimiser("sgd"), [1.0])
    assert all((p - q).abs().max() > 1e-3 for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_many_updates_are_torch_s_optimiser_on_autograd_s_gradients(name: str) -> None:
    net, x = random_nade(visible=6), random_bits(5, 4, 6)
    rates = [0.05, 0.04, 0.03, 0.02, 0.01]
    free = Nade(*(part.clone().requires_grad_() for part in net))
    momentum = 0.9 if name == "momentum" else 0.0
    rule = (
        torch.optim.Adam(free, maximize=True)
        if name == "adam"
        else torch.optim.SGD(free, maximize=True, momentum=momentum)
    )
    for cases, rate in zip(x, rates, strict=True):
        rule.zero_grad()
        log_prob(free, cases).sum().backward()
        rule.param_groups[0]["lr"] = rate
        rule.step()
    moments = [Nade(*map(torch.zeros_like, net)) for _ in range(MOMENTS[name])]
    advance(net, moments, x, Optimiser(name), rates)
    for found, expected in zip(net, free, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-10)


def test_training_raises_the_likelihood() -> None:
    """Of bits of which each pair is equal, so that it can gain half of what it starts with."""
    data = Bits(*(x[:, [0, 0, 1, 1, 2, 2]] for x in toy_data()[:2]))
    result = train(replace(SETTINGS, updates=400, rate=0.1), data, progress="off")
    values = [row["value"] for row in result.history if row["split"] == "train"]
    assert values[-1] > 0.6 * values[0]
    assert {row["metric"] for row in result.history} == {"log_likelihood"}
    best = log_prob(result.best.net, data.valid).double().mean()
    assert best.item() == result.best.value[0].item()


def test_rates_fall_to_zero_and_minibatches_are_the_seed_s(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []

    def noted(net: Nade, moments: Any, x: Any, rates: Tensor, *rest: Any) -> Tensor:
        seen.append((x, rates))
        return torch.zeros(len(rates), len(x))

    monkeypatch.setattr(kernel, "advance_compiled", noted)
    train(replace(SETTINGS, seeds=(4, 1)), toy_data(), progress="off")
    rates = torch.cat([rates for _, rates in seen])
    torch.testing.assert_close(rates, 1e-2 * (1 - torch.arange(25).double() / 25))
    for r, seed in enumerate((4, 1)):
        expected = toy_data().train[minibatch_indices(64, 8, 0, 25, seed)]
        assert torch.equal(torch.cat([x[r] for x, _ in seen]), expected)


def test_companions_and_threads_change_no_number() -> None:
    check_companions(TOY)
    check_threads(TOY)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, range(1, 6), after=after)


@pytest.mark.parametrize("moment", [0, 1])
def test_the_comparison_notices_a_run_that_forgets_a_moment(tmp_path: Path, moment: int) -> None:
    check_forgetting_is_noticed(TOY, tmp_path, 4, forget("moments", moment))


def test_early_stopping_gives_the_best_back() -> None:
    result = train(replace(SETTINGS, updates=400, rate=0.5, patience=2), toy_data(), progress="off")
    assert result.updates < 400
    assert log_prob(result.final, toy_data().valid).double().mean().item() == result.best.value[0].item()


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"rate": 0.02}, {"hidden": 8}, {"seeds": (1,)}, {"optimiser": Optimiser("sgd")}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_data(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"rate: 0\.01 -> 0\.02"):
        train(replace(SETTINGS, rate=0.02), toy_data(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"data\.sha256"):
        train(SETTINGS, toy_data(1), tmp_path, progress="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden=0: expected an integer of at least 1"),
        ({"updates": 2.0}, "updates=2.0: expected an integer"),
        ({"rate": float("nan")}, "rate=nan: expected a finite number"),
        ({"rate": -1.0}, "rate=-1.0: expected a finite number of at least 0"),
        ({"rate": "high"}, "rate='high': expected a finite number"),
        ({"seeds": ()}, r"seeds=\(\): expected different integers"),
        ({"seeds": (1, 1)}, r"seeds=\(1, 1\): expected different integers"),
        ({"dtype": "float16"}, "dtype='float16': expected one of float32, float64"),
        ({"eval_every": 12}, "eval_every=12: expected a multiple of chunk=5; choose 15"),
        ({"patience": 0}, "patience=0: expected an integer of at least 1"),
        ({"optimiser": "adam"}, "optimiser='adam': expected an Optimiser"),
        ({"optimiser": Optimiser("adam", centre=0.5)}, "expected an Optimiser without a centre"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Bits(toy_data().train.float(), toy_data().valid), r"train is torch\.float32: expected bits"),
        (Bits(toy_data().train, toy_data().valid * 2), "valid must hold zeros and ones only"),
        (Bits(toy_data().train, toy_data().valid[:, :4]), r"valid must be \[cases, 6\]"),
        (Bits(toy_data().train[:7], toy_data().valid), "train has 7 cases: expected at least 8"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_any_work(data: Bits, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        train(SETTINGS, data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()


def test_without_numba_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install numba"):
        train(SETTINGS, toy_data(), progress="off")
