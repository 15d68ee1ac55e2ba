"""The path from base to model, and the weights of chains along it summed over every path they can take."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nvil_repro.counters import counter_uniforms
from nvil_repro.evaluation.annealing_path import annealing_path, begin, draws, known_base
from nvil_repro.evaluation.partition import anneal
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import energy_family
from tests.evaluation.annealing_problems import (
    EXACT,
    MEAN,
    STATES,
    all_of,
    log_f,
    machine,
    path,
    scripted,
    transition,
)


def test_what_an_rbm_saves_changes_nothing() -> None:
    fast, plain = path(), annealing_path(RBM._replace(name="plain"), machine(), MEAN)
    a, b = fast.enter(STATES[None]), plain.enter(STATES[None])
    uniforms = draws(fast, 4, 0, "test", 1)
    for low, high in ((0.0, 0.3), (0.3, 1.0), (1.0, 0.9)):
        torch.testing.assert_close(fast.log_ratio(a, low, high), plain.log_ratio(b, low, high), **EXACT)
        torch.testing.assert_close(fast.log_ratio(a, low, high), log_f(high) - log_f(low), **EXACT)
        assert torch.equal(fast.cases(fast.step(a, high, uniforms)), plain.step(b, high, uniforms))
    assert (fast.log_ratio(a, 0.0, 0.3) - fast.log_ratio(a, 0.0, 0.4)).abs().max() > 0.01  # control
    assert (
        (fast.visible, fast.width, fast.dtype)
        == (plain.visible, plain.width, plain.dtype)
        == (2, 5, MEAN.dtype)
    )


def test_chains_begin_at_samples_of_the_base() -> None:
    real = path()
    x = real.cases(begin(real, 1000, 0, "test"))
    bias = known_base(RBM, machine(), MEAN).theta.visible_bias
    expected = draws(real, 1000, 0, "test", 0)[..., 3:] < torch.sigmoid(bias)[:, None]
    assert torch.equal(x, expected.double())
    other = draws(real, 1000, 0, "test", 0)[..., 3:] < torch.sigmoid(machine().visible_bias)[:, None]
    assert not torch.equal(x, other.double())  # control: the model's bias


def test_steps_read_one_stream_in_turn() -> None:
    whole = counter_uniforms(5, "test", 0, (4, 3, path().width), MEAN.dtype)
    for k in range(4):  # 15 uniforms a step: every other one begins at an odd number
        assert torch.equal(draws(path(), 3, 5, "test", k)[0], whole[k])
    assert not torch.equal(draws(path(), 3, 6, "test", 0)[0], whole[0])  # control


@pytest.mark.parametrize("rungs", [[0.0, 1.0], [0.0, 0.4, 1.0], [0.0, 0.2, 0.7, 1.0]])
@pytest.mark.parametrize("falling", [False, True])
def test_weights_are_unbiased_up_and_down(rungs: list[float], falling: bool) -> None:
    log_z = log_f(1.0).logsumexp(-1) - log_f(0.0).logsumexp(-1)
    rungs, expected = (rungs[::-1], -log_z) if falling else (rungs, log_z)
    visited = all_of(*[4] * (len(rungs) - 1))
    script = scripted(list(visited[1:]))
    probability = log_f(rungs[0]).softmax(-1)[:, visited[0]]
    for b, x, y in zip(rungs[1:], visited, visited[1:], strict=False):
        probability = probability * transition(b)[:, x, y]
    log_w = anneal(script, rungs, script.enter(STATES[visited[0]][None]), 0, "test")
    torch.testing.assert_close((log_w.exp() * probability).sum(-1), expected.exp(), **EXACT)
    elsewhere = log_f(1 - rungs[0]).softmax(-1)[:, visited[0]] / log_f(rungs[0]).softmax(-1)[:, visited[0]]
    assert ((log_w.exp() * probability * elsewhere).sum(-1) - expected.exp()).abs().min() > 1e-3  # control


def test_log_z_of_the_base_is_that_of_its_rounded_self() -> None:
    theta = Rbm(*(part.float() for part in machine()))
    base = known_base(RBM, theta, MEAN)
    exact = RBM.log_unnormalised(Rbm(*(part.double() for part in base.theta)), STATES[None]).logsumexp(-1)
    torch.testing.assert_close(base.log_z, exact, rtol=0, atol=1e-12)
    assert base.theta.weight.dtype == torch.float32
    assert RBM.base is not None
    assert (
        RBM.base(machine(), MEAN).log_z - exact
    ).abs().max() > 1e-10  # control: a base that was not rounded


def test_what_cannot_be_annealed_is_refused() -> None:
    mine: Any = energy_family("mine", RBM.log_unnormalised, visible=2)
    with pytest.raises(ValueError, match="mine has no base"):
        annealing_path(mine, machine())
    with pytest.raises(ValueError, match="plain has no Gibbs step"):
        annealing_path(RBM._replace(name="plain", gibbs=None), machine())
    bad = machine()
    bad.weight[1, 0, 2] = torch.inf
    with pytest.raises(ValueError, match=r"weight holds inf at \[1, 0, 2\]"):
        annealing_path(RBM, bad)
