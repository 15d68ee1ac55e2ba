"""Modules trained by the one loop: resumed bit for bit, alone as in company, Adam as torch's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.general_bounds import bound_of, general_weights
from nvil_repro.learning.estimators import Nets
from nvil_repro.learning.nvil import signal_state
from nvil_repro.training import loop
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.general import GeneralNets, GeneralSettings, train
from nvil_repro.training.settings import SettingsError
from tests.nets import bernoulli_nets, gaussian_nets
from tests.training.toys import Bits, same, timeless, toy_data


@dataclass(frozen=True)
class Toy:
    """A recipe of `tests.nets`."""

    nets: str = "gaussian"

    def __call__(self, train_mean, seed):
        return {"gaussian": gaussian_nets, "bernoulli": bernoulli_nets}[self.nets](seed)


SETTINGS = GeneralSettings(
    Toy(),
    updates=25,
    estimators=("full", "pathwise", "none"),
    seeds=(0, 1),
    rate=1e-2,
    batch_size=8,
    eval_every=10,
    validation_samples=2,
    checkpoint_seconds=0,
)
DATA = toy_data()


def run(folder=None, data=DATA, **changes):
    return train(replace(SETTINGS, **changes), data, folder, progress="off")


@pytest.fixture(scope="module")
def straight():
    """The run that nothing disturbed."""
    return run()


@pytest.mark.parametrize("name", ["advance", "evaluate"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_stopped_anywhere_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight, name, call):
    work, calls = getattr(GeneralNets, name), []

    def interrupted(*arguments):
        calls.append(work(*arguments))
        if len(calls) == call:
            raise InterruptedError
        return calls[-1]

    with monkeypatch.context() as patch:
        patch.setattr(GeneralNets, name, interrupted)
        with pytest.raises(InterruptedError):
            run(tmp_path)
    assert same(run(tmp_path), straight)


def test_a_state_that_forgets_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_finished", lambda now, schedule: now.update == 10)
        run(tmp_path)
    resume = loop._Run.resume

    def forgetful(now, checkpoint):
        resume(now, checkpoint)
        now.state.second[0].zero_()

    monkeypatch.setattr(loop._Run, "resume", forgetful)
    assert not same(run(tmp_path), straight)


def test_replicas_are_what_they_are_alone(straight):
    for r, replica in enumerate(SETTINGS.replicas):
        alone = run(estimators=(replica.variant,), seeds=(replica.seed,))
        drop = f"'replica': {r}, "
        own = [row.replace(drop, "'replica': 0, ") for row in timeless(straight) if drop in row]
        assert own == timeless(alone)


def test_a_seeds_replicas_start_alike_and_part(straight):
    state = GeneralNets(SETTINGS, DATA.train, DATA.valid).start()
    assert all(torch.equal(p[0], p[1]) and torch.equal(p[0], p[2]) for p in state.net)
    assert not torch.equal(state.net[0][0], state.net[0][3])
    after = straight.state
    assert not torch.equal(after.net[0][0], after.net[0][1])
    assert after.signals.variance[0, 0] > 0
    assert after.signals.variance[0, 1] == 0  # the path keeps no running state


@pytest.mark.parametrize("name", ["full", "pathwise"])
@pytest.mark.parametrize("first", [0, 20])
def test_an_update_is_a_step_of_torchs_adam(name, first):
    how = GeneralNets(replace(SETTINGS, estimators=(name,), seeds=(3,)), DATA.train, DATA.valid)
    state, nets, signals = how.start(), gaussian_nets(3), signal_state(1, dtype=torch.float64)
    optimiser = torch.optim.Adam(nets.parameters(), lr=1e-2)
    for p in nets.parameters():
        zeros = torch.zeros_like(p)
        optimiser.state[p] = {
            "step": torch.tensor(float(first)),
            "exp_avg": zeros,
            "exp_avg_sq": zeros.clone(),
        }
    found = how.advance(state, first, 5)
    noise = nets.inference.noise(3, "noise", first // SETTINGS.chunk, (5, 8, 2), torch.float64)
    for cases, eps, bound in zip(minibatch_indices(64, 8, first, 5, 3), noise, found[:, 0], strict=True):
        optimiser.zero_grad()
        outcome = nets(name, DATA.train[cases].double(), eps, signals)
        outcome.loss.backward()
        optimiser.step()
        signals = outcome.state
        assert bound.item() == pytest.approx(outcome.bound.mean().item(), rel=1e-6)
    trained = how.modules(state.net, 0)
    for ours, theirs in zip(trained.parameters(), nets.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    fresh = gaussian_nets(3)  # control: it moved
    assert not torch.equal(next(trained.parameters()), next(fresh.parameters()))


class Shifted(torch.nn.Module):
    """A model whose bound rises as a single number, from 0, comes near 3."""

    def __init__(self, model):
        super().__init__()
        self.model, self.shift = model, torch.nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

    def log_prob(self, x, h):
        return self.model.log_prob(x, h).sum(0) - (self.shift - 3) ** 2


@dataclass(frozen=True)
class ShiftedToy:
    """A recipe with a parameter that is one number."""

    def __call__(self, train_mean, seed):
        nets = gaussian_nets(seed)
        return Nets(Shifted(nets.model), nets.inference, nets.baselines)


def test_the_best_parameters_are_kept_of_single_numbers_too():
    settings = replace(SETTINGS, recipe=ShiftedToy(), estimators=("full",), seeds=(0,), rate=0.05)
    result = train(settings, DATA, progress="off")
    nets = GeneralNets(settings, DATA.train, DATA.valid).modules(result.best.net, 0)
    assert 0.5 < nets.model.shift.item() < 2  # control: it had begun at 0
    weights = general_weights(nets, DATA.valid, SETTINGS.validation_samples, name="valid")
    assert bound_of(weights).value.item() == pytest.approx(result.best.value.item(), rel=1e-6)


@pytest.mark.parametrize("nets", ["gaussian", "bernoulli"])
def test_the_bound_rises(nets):
    result = run(recipe=Toy(nets), estimators=("full",), seeds=(0,), updates=300, eval_every=300)
    first, last = (row["value"] for row in result.history if row["split"] == "valid")
    assert last > first + 0.3


def test_other_settings_and_other_data_are_refused(tmp_path: Path):
    run(tmp_path)
    with pytest.raises(SettingsChangedError, match=r"rate: 0.01 -> 0.02"):
        run(tmp_path, rate=0.02)
    with pytest.raises(SettingsChangedError, match=r"gaussian.*bernoulli"):
        run(tmp_path, recipe=Toy("bernoulli"))
    with pytest.raises(SettingsChangedError, match=r"data.sha256: \w+ -> \w+"):
        run(tmp_path, toy_data(1))
    run(tmp_path, checkpoint_seconds=60)  # control: no number of its own


@pytest.mark.parametrize("estimators", [(), ("full", "full"), ("fall",)])
def test_estimators_that_cannot_be_are_refused(estimators: tuple[str, ...]):
    with pytest.raises(SettingsError, match=r"estimators=.*expected any of full, .*, each once"):
        replace(SETTINGS, estimators=estimators)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Bits(DATA.train.float(), DATA.valid), r"train is torch\.float32: expected bits"),
        (Bits(DATA.train, DATA.valid * 2), "valid must hold zeros and ones only"),
        (Bits(DATA.train[:7], DATA.valid), "train has 7 cases: expected at least 8"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_any_work(data: Bits, message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", data)
    assert not (tmp_path / "run").exists()


def test_the_hash_knows_the_recipe():
    assert SETTINGS.hash == replace(SETTINGS).hash
    assert SETTINGS.hash != replace(SETTINGS, recipe=Toy("bernoulli")).hash
