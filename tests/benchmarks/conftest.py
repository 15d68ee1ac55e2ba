"""Data as small as it gets, and nets whose every parameter matters."""

from __future__ import annotations

import pytest
import torch

from benchmarks.work import Bits, Work, generated_bits
from nvil_repro.models.belief_net import BeliefNet, parameters, with_parameters
from nvil_repro.training.advance import TrainState
from nvil_repro.training.belief_nets import BeliefNets


@pytest.fixture(scope="package")
def data() -> Bits:
    return generated_bits(cases=60, visible=12)


@pytest.fixture
def random_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every contender starts from the same random parameters; a unit is on where its probability exceeds a half."""
    net, start = Work.net, BeliefNets.start

    def random(fresh: BeliefNet) -> BeliefNet:
        generator = torch.Generator().manual_seed(0)
        return with_parameters(
            fresh, [p + torch.randn(p.shape, generator=generator) for _, p in parameters(fresh)]
        )

    def started(method: BeliefNets) -> TrainState:
        state = start(method)
        return state._replace(net=random(state.net))

    monkeypatch.setattr(Work, "net", lambda work: random(net(work)))
    monkeypatch.setattr(BeliefNets, "start", started)
    monkeypatch.setattr("torch.bernoulli", lambda mean: (mean > 0.5).float())
    monkeypatch.setattr(
        "nvil_repro.models.bernoulli.sample", lambda logits, uniforms: (logits > 0 * uniforms).float()
    )
