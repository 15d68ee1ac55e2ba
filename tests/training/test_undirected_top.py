"""NVIL below a machine in the loop: one update by hand, and runs that are stopped, resumed, shared out, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.undirected_top import estimate_bound, top_log_partition
from nvil_repro.learning.undirected_top import undirected_gradients
from nvil_repro.models.belief_net import sample_q
from nvil_repro.models.rbm import RBM
from nvil_repro.models.undirected_top import parameters
from nvil_repro.streams import uniforms
from nvil_repro.training import undirected_top as module
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from nvil_repro.training.undirected_top import UndirectedTop, UndirectedTopSettings, train
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
    forget,
)
from tests.training.toys import Bits, toy_data

SETTINGS = UndirectedTopSettings(
    hidden=3,
    top=2,
    updates=12,
    rate=0.02,
    inference_rate=0.02,
    baseline_rate=1e-3,
    baseline_units=4,
    batch_size=8,
    chains=5,
    steps=2,
    eval_every=6,
    validation_samples=2,
    chunk=3,
    checkpoint_seconds=0,
)
TOY = Toy(train, UndirectedTop, SETTINGS, toy_data())


def patterns() -> Bits:
    """Two patterns of six bits and no other."""
    x = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], dtype=torch.uint8)
    return Bits(x.repeat(32, 1), x.repeat(8, 1))


def test_an_update_is_a_sample_of_q_a_step_of_the_chains_and_rates() -> None:
    """The seventh of twelve, at half the rates."""
    settings = replace(SETTINGS, optimiser=Optimiser("sgd"), dtype="float64", seeds=(3,), inference_rate=0.01)
    data = toy_data()
    method = UndirectedTop(settings, data.train, data.valid)
    state, (model, state_before, _, chains) = method.start(), method.start()
    method.advance(state, 6, 1)
    x = data.train[minibatch_indices(64, 8, 6, 1, 3)].double()
    h = sample_q(model.net, x, [uniforms(3, "h1", 6, (1, 8, 3), torch.float64)])
    assert RBM.gibbs is not None
    for u in uniforms(3, "top", 6, (2, 5, 5), torch.float64):
        once, chains = chains, RBM.gibbs(model.top, chains, u[None])
    torch.testing.assert_close(state.chains, chains)
    for ends, expected in ((chains, True), (once, False)):  # control: a step too few
        slopes, signals = undirected_gradients(model, x, h, ends, state_before)
        rates = {"model": 0.01, "inference": 0.005, "baseline": 0.0005}
        moved = [
            p + rates[name.split("/")[0]] * slope
            for (name, p), (_, slope) in zip(parameters(model), parameters(slopes), strict=True)
        ]
        pairs = zip(parameters(state.net), moved, strict=True)
        assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for (_, a), b in pairs) == expected
    torch.testing.assert_close(state.signals.mean, signals.state.mean)


def test_training_raises_the_exact_bound() -> None:
    rates = dict.fromkeys(("rate", "inference_rate", "baseline_rate"), 0.1)
    settings = replace(SETTINGS, updates=300, eval_every=300, chunk=300, chains=20, seeds=(1,), **rates)
    result, x = train(settings, patterns(), progress="off"), patterns().valid

    def bound(net: Any) -> float:
        return estimate_bound(net, x, top_log_partition(net, x), samples=50).bound.value.item()

    assert bound(UndirectedTop(settings, patterns().train, x).start().net) < -4
    assert bound(result.final) > -1.2  # the best is -log 2
    assert result.final.weight.abs().max() > 0.3  # and the machine has its part in it
    rows = {row["split"]: row for row in result.history}
    assert rows["valid"]["metric"] == "bound"
    assert abs(rows["valid"]["value"] - bound(result.final)) < 0.5


def test_companions_and_threads_change_no_number() -> None:
    check_companions(TOY, lambda state: (state.net, state.chains))
    check_threads(TOY)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, range(1, 5), after=after)


@pytest.mark.parametrize("part", ["chains", "moments", "signals"])
def test_the_comparison_notices_a_run_that_forgets(part: str, tmp_path: Path) -> None:
    lively = replace(SETTINGS, rate=0.3, steps=1, chains=60)
    check_forgetting_is_noticed(Toy(train, UndirectedTop, lively, patterns()), tmp_path, 3, forget(part))


def test_large_machines_are_annealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And while training log Z is asked for with the same uniforms each time."""
    monkeypatch.setattr(module, "EXACT", 1)
    data = toy_data()
    method = UndirectedTop(replace(SETTINGS, annealed_chains=200), data.train, data.valid)
    state = method.start()
    annealed = method.evaluate(state)
    assert torch.equal(method.evaluate(state).mean, annealed.mean)
    monkeypatch.setattr(module, "EXACT", 8)
    exact = method.evaluate(state)
    assert 0 < (annealed.mean - exact.mean).abs().item() < 3 * annealed.stderr.item()
    monkeypatch.setattr(module, "EXACT", 1)
    of_z = method._log_z(state.net)
    parts = (exact.stderr, (of_z.log_z - of_z.lower) / 3)  # an exact log Z leaves the samples' error
    assert min(part.item() for part in parts) > 1e-4
    torch.testing.assert_close(annealed.stderr, torch.hypot(*parts), rtol=1e-6, atol=0)


def test_a_diverged_model_is_recorded_and_its_companion_goes_on() -> None:
    wild = train(replace(SETTINGS, rate=1e38, optimiser=Optimiser("momentum")), toy_data(), progress="off")
    assert 0 in wild.diverged
    assert wild.history[-1]["note"].startswith("diverged at update")
    assert not train(SETTINGS, toy_data(), progress="off").diverged


def test_settings_name_the_run() -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"rate": 0.03}, {"steps": 5}, {"seeds": (1,)}, {"optimiser": Optimiser("sgd")}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top": 0}, "top=0: expected an integer of at least 1"),
        ({"alpha": 1.0}, r"alpha=1.0: expected a number in \[0, 1\)"),
        ({"validation_samples": 1}, "validation_samples=1: expected an integer of at least 2"),
        ({"inference_rate": -0.1}, "inference_rate=-0.1: expected a finite number of at least 0"),
        ({"eval_every": 4}, "eval_every=4: expected a multiple of chunk=3; choose 6"),
        ({"optimiser": Optimiser("adam", centre=0.5)}, "expected an Optimiser without a centre"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_data_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    data = toy_data()
    for other, message in (
        (data._replace(train=data.train.float()), "train is torch.float32: expected bits"),
        (data._replace(train=data.train[:7]), "train has 7 cases: expected at least 8"),
    ):
        with pytest.raises(ValueError, match=message):
            train(SETTINGS, other, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
