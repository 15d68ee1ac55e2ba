"""NVIL in the loop: streams, rates, companions, divergence, and data that does not fit."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.streams import uniforms
from nvil_repro.training import belief_nets
from nvil_repro.training.belief_nets import BeliefNets, train
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.trees import leaves, replica
from tests.training.toys import Bits, rows_of, same, toy_data, toy_settings

ENGINES = [
    "torch",
    pytest.param("kernel", marks=pytest.mark.skipif(not find_spec("numba"), reason="needs numba")),
]


def method(**changes: object) -> BeliefNets:
    return BeliefNets(toy_settings(**changes), toy_data().train, toy_data().valid)


@pytest.mark.parametrize("engine", ENGINES)
def test_training_raises_the_bound(engine: str) -> None:
    settings = toy_settings(
        engine=engine, updates=300, variants=("full",), eval_every=100, validation_samples=10
    )
    result = train(settings, toy_data(), progress="off")
    values = [row["value"] for row in result.history if row["split"] == "train"]
    assert values[-1] > values[0] + 0.05


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replica_trains_the_same_alone_and_in_company(engine: str) -> None:
    """Bit for bit."""
    settings = toy_settings(engine=engine, variants=("full", "baseline", "none"), seeds=(4, 0))
    together = train(settings, toy_data(), progress="off")
    for r, each in enumerate(settings.replicas):
        alone = train(
            toy_settings(engine=engine, variants=(each.variant,), seeds=(each.seed,)),
            toy_data(),
            progress="off",
        )
        assert rows_of(alone, *each) == rows_of(together, *each)
        for (name, a), (_, b) in zip(leaves(alone.final), leaves(replica(together.final, r)), strict=True):
            assert torch.equal(a, b), name


@pytest.mark.parametrize("how", ["nvil", "wake-sleep"])
def test_minibatches_and_uniforms_of_every_chunk(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, list[Tensor], int]] = []

    def noted(state: Any, plan: Any, x: Tensor, draws: list[Tensor], first: int, **_: Any) -> Tensor:
        seen.append((x, draws, first))
        return torch.zeros(x.shape[1], state.net.replicas)

    monkeypatch.setattr(belief_nets, "advance", noted)
    variants = ("",) if how == "wake-sleep" else ("full", "none")
    settings, data = toy_settings(seeds=(4, 1), method=how, variants=variants), toy_data()
    train(settings, data, progress="off")
    assert [first for *_, first in seen] == [0, 5, 10, 15, 20]
    sizes = {"h1": 3, "h2": 2} | ({"dream0": 6, "dream1": 3, "dream2": 2} if how == "wake-sleep" else {})
    for s, seed in enumerate(settings.seeds):
        expected = data.train[minibatch_indices(64, 8, 0, 25, seed)]
        assert torch.equal(torch.cat([x[s] for x, *_ in seen]), expected)
        for chunk, (_, draws, _) in enumerate(seen):
            for (name, size), draw in zip(sizes.items(), draws, strict=True):
                assert torch.equal(draw[s], uniforms(seed, name, chunk, (5, 8, size), settings.torch_dtype))


def test_the_same_cases_split_elsewhere_are_other_data(tmp_path: Path) -> None:
    x = torch.cat([toy_data().train, toy_data().valid])
    train(toy_settings(), Bits(x[:64], x[64:]), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError):
        train(toy_settings(), Bits(x[:60], x[60:]), tmp_path, progress="off")


def test_equal_seeds_share_their_start_and_data_and_different_seeds_do_not() -> None:
    result = train(toy_settings(seeds=(0, 1)), toy_data(), progress="off")
    at_start = {(r["variant"], r["seed"]): r["value"] for r in result.history if r["updates"] == 0}
    assert at_start["full", 0] == at_start["none", 0] != at_start["full", 1]
    plan = method(seeds=(7, 3)).plan(0)
    assert plan.group.tolist() == [0, 0, 1, 1]


def test_divergence_leaves_the_companions_bits_alone() -> None:
    calm = train(toy_settings(), toy_data(), progress="off")
    wild = train(toy_settings(rate_scale={"none": 1e40}), toy_data(), progress="off")
    assert rows_of(wild, "full") == rows_of(calm, "full")
    assert rows_of(wild, "none") != rows_of(calm, "none")  # control
    assert wild.diverged.keys() == {1}
    assert f"diverged at update {wild.diverged[1]}" in rows_of(wild, "none")[-1]
    for (name, a), (_, b) in zip(leaves(replica(calm.final, 0)), leaves(replica(wild.final, 0)), strict=True):
        assert torch.equal(a, b), name


def test_rates_follow_the_variant_and_the_schedule() -> None:
    scaled = method(rate_scale={"none": 3.0}, decay_from=10, inference_rate=2e-3, baseline_rate=0.0)
    for update, factor in ((0, 1), (10, 1), (15, 2 / 3), (20, 1 / 3)):
        rates = scaled.plan(update).rates
        assert rates.model.tolist() == pytest.approx([1e-2 * factor, 3e-2 * factor])
        assert rates.inference.tolist() == pytest.approx([2e-3 * factor, 6e-3 * factor])
        assert rates.baseline.tolist() == [0, 0]


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    """Also where it ends within a chunk: 23 updates, in chunks of 5."""
    short = train(toy_settings(updates=23), toy_data(), progress="off")
    nvil_method = method()
    state = nvil_method.start()
    nvil_method.advance(state, 0, 5)
    for first in (5, 10, 15, 20):
        nvil_method.advance(state, first, 5 if first < 20 else 3)
    pairs = zip(leaves(state), leaves(short.state), strict=True)
    assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)


def test_the_validation_value_is_the_evaluation_of_the_same_name() -> None:
    result = train(toy_settings(), toy_data(), progress="off")
    bound = estimate_bound(replica(result.final, 1), toy_data().valid, samples=2, seed=0, name="valid")
    row = next(r for r in reversed(result.history) if r["variant"] == "none" and r["split"] == "valid")
    assert (row["value"], row["stderr"]) == (bound.value.item(), bound.sampling_stderr.item())


def test_threads_change_no_number() -> None:
    for engine in ("torch", "kernel") if find_spec("numba") else ("torch",):
        settings = toy_settings(engine=engine)
        assert same(
            train(settings, toy_data(), progress="off", threads=1),
            train(settings, toy_data(), progress="off", threads=2),
        )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Bits(toy_data().train.float(), toy_data().valid), "train is torch.float32: expected bits"),
        (Bits(toy_data().train, toy_data().valid * 255), "valid must hold zeros and ones only, got 255"),
        (Bits(toy_data().train, toy_data().valid[:0]), "valid must be .* with at least one case"),
        (Bits(toy_data().train, toy_data().valid[:, :4]), r"valid must be \[cases, 6\]"),
        (Bits(toy_data().train[:7], toy_data().valid), "train has 7 cases: expected at least 8"),
    ],
)
def test_data_that_does_not_fit_is_refused_before_any_work(data: Bits, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        train(toy_settings(), data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device=.cuda.: .*set device=.cpu."):
        train(toy_settings(device="cuda"), toy_data(), progress="off")
