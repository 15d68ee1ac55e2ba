"""The peers do the same work: after the same bits they hold the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchmarks import eager, peers
from benchmarks.timing import Way
from benchmarks.work import Bits, Work
from nvil_repro.learning.nvil import VARIANTS
from nvil_repro.models.belief_net import SBN, Architecture
from nvil_repro.models.modules import BernoulliLayer, as_modules
from nvil_repro.training.advance import TrainState, advance_batched

Peer = Callable[[Work], list[Way]]
NETWORKS = {
    "SBN": SBN,
    "DARN": Architecture(prior=True, visible=True),
    "autoregressive Q": Architecture(inference=True),
}


def after_three_updates(peer: Peer, work: Work, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The parameters of every replica, as modules hold them."""
    models: list[tuple[nn.Module, ...]] = []
    states: list[TrainState] = []

    def modules(work: Work, model: nn.Module, inference: nn.Module, psi: list[nn.Module]) -> torch.optim.SGD:
        models.append((model, inference, *psi))
        return optimiser(work, model, inference, psi)  # type: ignore[arg-type]

    def advance(state: TrainState, *arguments: object) -> Tensor:
        states.append(state)
        return advance_batched(state, *arguments)  # type: ignore[arg-type]

    optimiser = peers.optimiser
    with monkeypatch.context() as patch:
        patch.setattr(peers, "MINIBATCHES", 1)
        patch.setattr(peers, "uniforms", lambda seed, name, index, shape: torch.full(shape, 0.5))
        patch.setattr(peers, "advance_batched", advance)
        for module in (peers, eager):
            patch.setattr(module, "optimiser", modules)
        way = peer(work)[0]
        for _ in range(3):
            way.run()
    if states:
        nets = [as_modules(states[0].net, r) for r in range(work.replicas)]
        models = [(model, q, *(psi if work.method == "nvil" else [])) for model, q, psi in nets]
    return [p for model in models for module in model for p in module.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    assert len(one) == len(other) > 0
    return all(torch.allclose(p, q, rtol=1e-5, atol=1e-6) for p, q in zip(one, other, strict=True))


@pytest.mark.usefixtures("random_nets")
@pytest.mark.parametrize("architecture", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    ("peer", "method"),
    [(eager.autograd, "nvil"), (peers.general, "nvil"), (eager.autograd, "wake-sleep")],
    ids=["eager", "general", "eager, wake-sleep"],
)
def test_a_peer_does_the_work_of_the_closed_form(
    data: Bits, peer: Peer, method: str, architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = tuple(VARIANTS) if method == "nvil" else ("",)
    work = Work(
        data, (4, 3), variants, seeds=(0, 1), batch=5, chunk=2, architecture=architecture, method=method
    )
    found = after_three_updates(peer, work, monkeypatch)
    closed = after_three_updates(peers.closed_form, work, monkeypatch)
    assert same(found, closed)
    if method == "nvil":  # control: the switches of another replica
        other = replace(work, variants=tuple(reversed(variants)))
        assert not same(after_three_updates(peer, other, monkeypatch), closed)


@pytest.mark.usefixtures("random_nets")
@pytest.mark.parametrize("method", ["nvil", "wake-sleep"])
def test_units_drawn_without_one_another_are_noticed(
    data: Bits, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = ("full",) if method == "nvil" else ("",)
    work = Work(
        data, (4,), variants, batch=5, chunk=2, architecture=Architecture(True, True, True), method=method
    )
    closed = after_three_updates(peers.closed_form, work, monkeypatch)
    assert same(after_three_updates(eager.autograd, work, monkeypatch), closed)

    def factorial(layer: BernoulliLayer, feedforward: Tensor) -> Tensor:
        return torch.bernoulli(torch.sigmoid(feedforward.detach()))

    monkeypatch.setattr(eager, "draw", factorial)
    assert not same(after_three_updates(eager.autograd, work, monkeypatch), closed)
