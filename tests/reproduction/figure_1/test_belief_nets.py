"""What lies between a trained net and a row, on nets small enough to enumerate."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.exact import exact_log_likelihood
from nvil_repro.models.belief_net import belief_net
from nvil_repro.reproduction import belief_nets, variance_panels
from nvil_repro.reproduction.cells import Panel
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row
from nvil_repro.reproduction.variance_over_training import variance_along
from nvil_repro.trees import replica


@pytest.fixture(scope="module")
def results(run: Run, data: MnistSplits) -> dict[Panel, belief_nets.Result]:
    return variance_panels.train_panels(run, data)


@pytest.fixture(scope="module")
def rows(run: Run, results: dict[Panel, belief_nets.Result], data: MnistSplits) -> list[Row]:
    return variance_panels.panel_rows(run, results, data)


def test_a_test_row_is_the_bound_of_that_replica(
    rows: list[Row], results: dict[Panel, belief_nets.Result], data: MnistSplits
) -> None:
    result = results[Panel((3, 2), "quick")]
    names = [(each.variant, each.seed) for each in belief_nets.replicas(result)]
    net = replica(result.best.net, names.index(("full", 1)))
    expected = estimate_bound(net, data.test, samples=10, seed=1, name="test")
    found = {(r.variant, r.seed): r for r in rows if r.dims == "2-3" and r.split == "test"}
    assert (found["full", 1].value, found["full", 1].stderr) == (
        expected.value.item(),
        expected.stderr.item(),
    )
    assert found["full", 0].value != expected.value.item()  # control


def test_a_diverged_replica_is_a_row_of_nan(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = PROTOCOLS["quick"]._replace(rate=1e38, inference_rate=1e38)
    monkeypatch.setitem(PROTOCOLS, "quick", wild)
    settings = belief_nets.train_settings(run, (3,), wild, seeds=(0,))
    result = belief_nets.train(settings, data, progress="off")
    row = next(belief_nets.bound_rows(run, result, data, (3,), "quick"))
    assert math.isnan(row.value)
    assert row.note.startswith("diverged at update ")
    assert list(variance_panels.variance_rows(run, result, data, (3,), "quick")) == []


def test_independent_pixels_are_a_net_without_weights(data: MnistSplits) -> None:
    p = (data.train.sum(0, dtype=torch.float64) + 1) / (len(data.train) + 2)
    net = belief_net(30, (2,), [0], train_mean=p, scale=0.0, dtype=torch.float64)
    net.generative[0].bias.copy_(p.logit())
    exact = exact_log_likelihood(net, data.test).mean().item()
    assert belief_nets.independent_pixels(data.train, data.test) == pytest.approx(exact, abs=1e-12)
    assert belief_nets.independent_pixels(data.test, data.test) != pytest.approx(exact, abs=1e-3)  # control


def test_rows_say_on_what_device_their_nets_were_trained(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    result = variance_panels.train_panels(run, data)[Panel((3,), "quick")]
    monkeypatch.setattr(belief_nets, "train", lambda s, *_, **__: asked.append(s.device) or result)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    there = replace(run, device="cuda")
    rows = variance_panels.panel_rows(there, variance_panels.train_panels(there, data), data)
    assert (set(asked), {row.device for row in rows}) == ({"cuda"}, {"cuda (a GPU)"})
    assert all(row.device.startswith("cpu (") for row in variance_along(there, data))


def test_first_layer_is_a_picture_a_unit(run: Run, results: dict[Panel, belief_nets.Result]) -> None:
    result = results[Panel((3,), "quick")]
    assert belief_nets.first_layer(result.best.net).shape == (3, 30)
    assert Path(run.results_dir).is_dir()
