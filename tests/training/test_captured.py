"""A captured update against the torch engine: counters that are tensors anywhere, graphs where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nvil_repro.learning.nvil import VARIANTS, signal_state, stack_ingredients
from nvil_repro.models.belief_net import SBN, Architecture, belief_net
from nvil_repro.streams import uniforms
from nvil_repro.training import advance as training
from nvil_repro.training import captured
from nvil_repro.training.advance import (
    Plan,
    TrainState,
    advance,
    advance_batched,
    update_in_graph,
)
from nvil_repro.training.belief_nets import BeliefNets, train
from nvil_repro.training.captured import Captured, advance_captured
from nvil_repro.training.optimisers import Optimiser, Rates, moments
from nvil_repro.trees import clone, leaves
from tests.training.promises import StopHereError, interrupt
from tests.training.toys import same, toy_data, toy_settings

GPU = pytest.mark.skipif(not (torch.cuda.is_available() and find_spec("triton")), reason="needs a GPU")
FULL = Architecture(prior=True, visible=True, inference=True)
VISIBLE, BATCH, UPDATES = 7, 5, 12
KINDS = [
    ((5, 3), Optimiser("momentum", centre=0.5), "nvil", SBN),
    ((4,), Optimiser("sgd"), "nvil", Architecture(prior=True)),
    ((4, 3), Optimiser("adam"), "wake-sleep", SBN),
    ((4, 3), Optimiser("sgd", centre=0.3), "nvil", FULL),
    ((4,), Optimiser("adam", centre=0.5), "wake-sleep", FULL),
]


def start(
    layers: tuple[int, ...], rule: Optimiser, method: str, architecture: Architecture
) -> tuple[TrainState, Plan]:
    """Every variant, and a second seed of the first."""
    variants, groups = [*VARIANTS, "full"], [0] * len(VARIANTS) + [1]
    mean = torch.linspace(0, 0.6, VISIBLE).double()
    net = belief_net(
        VISIBLE, layers, groups, train_mean=mean, architecture=architecture, baseline_units=4, scale=0.7,
        dtype=torch.float64,
    )  # fmt: skip
    rates = Rates(*(torch.full((len(groups),), rate, dtype=torch.float64) for rate in (0.05, 0.02, 0.01)))
    plan = Plan(stack_ingredients(variants), rates, rule, torch.tensor(groups), method=method)
    return TrainState(net, signal_state(len(layers), len(groups), torch.float64), moments(net, rule)), plan


def chunk(layers: tuple[int, ...], index: int = 0) -> tuple[Tensor, list[Tensor]]:
    x = (uniforms(1, "x", index, (2, UPDATES, BATCH, VISIBLE)) < 0.3).to(torch.uint8)
    sizes = (*layers, VISIBLE, *layers)
    draws = [uniforms(1, f"u{i}", index, (2, UPDATES, BATCH, h), torch.float64) for i, h in enumerate(sizes)]
    return x, draws


def close(found: object, expected: object) -> None:
    for (name, a), (_, b) in zip(leaves(found), leaves(expected), strict=True):
        torch.testing.assert_close(
            a.cpu(), b, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize(("layers", "rule", "method", "architecture"), KINDS, ids=str)
def test_counters_may_be_tensors(
    layers: tuple[int, ...], rule: Optimiser, method: str, architecture: Architecture
) -> None:
    state, plan = start(layers, rule, method, architecture)
    x, draws = chunk(layers)
    expected, bounds = clone(state), torch.zeros(UPDATES, len(plan.group), dtype=torch.float64)
    reference = advance_batched(expected, plan, x, draws, 3)
    t, update = torch.zeros(1, dtype=torch.int64), torch.tensor(3.0, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(UPDATES):
            update_in_graph(state, plan, x, draws, t, update, bounds)
    close((state, bounds), (expected, reference))
    assert (t.item(), update.item()) == (UPDATES, 3 + UPDATES)


def test_a_graph_is_of_one_state_and_of_one_kind_of_chunk_and_plan() -> None:
    """As if it had been captured."""
    state, plan = start(*KINDS[0])
    x, draws = chunk((5, 3))
    made = object.__new__(Captured)
    made.inputs, made.addresses = clone((plan, x, tuple(draws))), [t.data_ptr() for _, t in leaves(state)]
    slower = plan._replace(rates=Rates(*(rate / 2 for rate in plan.rates)))
    assert made.fits(state, slower, x, draws)
    assert made.fits(state, plan, x[:, :5], [u[:, :5] for u in draws])
    for change in (
        {"alpha": 0.5},
        {"method": "wake-sleep"},
        {"optimiser": Optimiser("momentum", centre=0.4)},
        {"ingredients": plan.ingredients._replace(local_signals=False)},
        {"group": plan.group[:-1]},
    ):
        assert not made.fits(state, plan._replace(**change), x, draws), change
    assert not made.fits(clone(state), plan, x, draws)
    assert not made.fits(state, plan, torch.cat([x, x], 1), [torch.cat([u, u], 1) for u in draws])
    assert not made.fits(state, plan, x, [u.float() for u in draws])
    assert not made.fits(state, plan, x, draws[:-1])


def test_engines_are_of_their_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    state, plan = start(*KINDS[0])
    with pytest.raises(ValueError, match=r"engine 'graph' does not work on cpu; leave it out"):
        advance(state, plan, *chunk((5, 3)), 0, engine="graph")
    monkeypatch.setattr(training, "find_spec", lambda name: name != "triton")
    assert training.default_engine("cuda") == "torch"
    monkeypatch.setattr(training, "find_spec", lambda name: name == "triton")
    assert (training.default_engine("cuda"), training.default_engine("cpu")) == ("graph", "torch")


def chunks_as_the_torch_engine(
    layers: tuple[int, ...], rule: Optimiser, method: str, architecture: Architecture, device: str
) -> None:
    """Chunk after chunk, a shorter one among them, at rates that fall, after another state of the same kind."""
    expected, plan = start(layers, rule, method, architecture)
    other, state, there = clone(expected, device), clone(expected, device), clone(plan, device)
    engine = (
        partial(advance, engine="graph") if device == "cuda" else partial(advance_captured, update_in_graph)
    )
    x, draws = chunk(layers, 9)
    engine(other, there, x.to(device), [u.to(device) for u in draws], 0)
    left, update = clone(other, "cpu"), 3  # as if resumed
    for index, steps in enumerate((UPDATES, UPDATES, 5, UPDATES)):
        x, draws = chunk(layers, index)
        x, draws = x[:, :steps], [u[:, :steps] for u in draws]
        falling = [Rates(*(rate * 0.5**index for rate in p.rates)) for p in (plan, there)]
        reference = advance_batched(expected, plan._replace(rates=falling[0]), x, draws, update)
        on_it = (x.to(device), [u.to(device) for u in draws])
        bounds = engine(state, there._replace(rates=falling[1]), *on_it, update)
        update += steps
        close((state, bounds), (expected, reference))
    close(other, left)
    assert not torch.equal(left.net.prior, expected.net.prior)  # control: it is another one


@GPU
@pytest.mark.parametrize(("layers", "rule", "method", "architecture"), KINDS, ids=str)
def test_a_graph_does_what_the_torch_engine_does(
    layers: tuple[int, ...], rule: Optimiser, method: str, architecture: Architecture
) -> None:
    chunks_as_the_torch_engine(layers, rule, method, architecture, "cuda")


@pytest.mark.parametrize(("layers", "rule", "method", "architecture"), KINDS, ids=str)
def test_replays_do_what_the_torch_engine_does(
    layers: tuple[int, ...],
    rule: Optimiser,
    method: str,
    architecture: Architecture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everywhere: all but the graph itself, in whose place the update is called, warmed up likewise."""
    made = []

    def called(
        once: Callable[[], None], rewind: Callable[[], object], device: torch.device
    ) -> Callable[[], None]:
        made.append(device.type)
        for _ in range(3):
            rewind()
            once()
        return once

    monkeypatch.setattr(captured, "capture", called)
    chunks_as_the_torch_engine(layers, rule, method, architecture, "cpu")
    assert made == ["cpu", "cpu"]  # once a state


@GPU
def test_training_on_a_gpu_resumes_bit_for_bit(tmp_path: Path) -> None:
    settings = toy_settings(device="cuda", engine="auto", seeds=(0, 3))
    assert settings.resolved_engine == "graph"
    whole = train(settings, toy_data(), progress="off")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, BeliefNets, "advance", 3, after=False)
        with pytest.raises(StopHereError):
            train(settings, toy_data(), tmp_path, progress="off")
    assert same(train(settings, toy_data(), tmp_path, progress="off"), whole)
    on_cpu = train(replace(settings, device="cpu", engine="torch"), toy_data(), progress="off")
    assert not same(on_cpu, whole)  # control: the comparison sees rounding
    for a, b in zip(whole.history, on_cpu.history, strict=True):
        assert a["value"] == pytest.approx(b["value"], abs=1e-3)
