"""The gradient's variance along training, beside Figure 1."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.nvil import stack_ingredients
from nvil_repro.reproduction import belief_nets
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.variance_over_training import trajectory, variance_along
from tests.reproduction.figure_1.toy_figure import VARIANTS


def test_variances_along_a_training_that_diverged_are_rows_of_nan(
    run: Run, data: MnistSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the figure's other rows are not lost."""
    wild = PROTOCOLS["quick"]._replace(rate=1e38, inference_rate=1e38)
    monkeypatch.setitem(PROTOCOLS, "quick", wild)
    along = replace(run, settings=replace(run.settings, networks=((3,),), variance_at=(0, 50), updates=60))
    rows = list(variance_along(along, data))
    assert [math.isnan(row.value) for row in rows] == [False] * len(VARIANTS) + [True] * len(VARIANTS)
    assert rows[-1].note == "the full method diverged before update 50"


def test_a_trajectory_is_the_run_as_it_was_then(run: Run, data: MnistSplits) -> None:
    settings = belief_nets.train_settings(run, (3, 2), PROTOCOLS["quick"], seeds=(1,))
    nets = {at: net.prior.clone() for at, net in trajectory(settings, data, (0, 10, 20))}
    for at in (10, 20):
        assert torch.equal(
            nets[at], belief_nets.train(replace(settings, updates=at), data, progress="off").final.prior
        )
    assert not torch.equal(nets[10], nets[20])  # control


def test_variance_along_training_is_measured_layer_by_layer(run: Run, data: MnistSplits) -> None:
    along = replace(run, settings=replace(run.settings, variance_at=(0, 50), updates=60))
    rows = list(variance_along(along, data))
    often = replace(along, settings=replace(along.settings, eval_every=6))  # the figure's business alone
    assert list(variance_along(often, data)) == rows
    assert len(rows) == 2 * (1 + 2) * len(VARIANTS)  # points, layers of both networks, variants
    last = {(r.metric, r.variant): r for r in rows if (r.dims, r.updates) == ("2-3", 50)}
    settings = belief_nets.train_settings(along, (3, 2), PROTOCOLS["quick"], seeds=(0,), eval_every=50)
    ((_, net),) = trajectory(settings, data, [50])
    x, ingredients = data.valid[:20], stack_ingredients(VARIANTS)
    state = settled_state(net, x, ingredients, seed=0)
    measured = gradient_variance(net, x, state, ingredients, draws=5, seed=0)
    found = last["layer_1_gradient_variance", "vn"]
    place = VARIANTS.index("vn")
    assert found.value == pytest.approx((measured.trace * measured.scale**2)[0, place].item())
    assert found.value != pytest.approx(measured.trace[0, place].item())  # control: the divisor is not one
    assert found.value == pytest.approx(last["layer_1_gradient_variance", "none"].value, rel=1e-4)
