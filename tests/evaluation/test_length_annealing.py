"""Annealing over the length: its step and its weights, integrated over all uniforms and summed over all paths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.annealed_importance import annealed_log_weights
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.length_annealing import chains_at, gibbs, length_ladder, log_ratio
from nvil_repro.evaluation.replicated_softmax import exact_log_partition
from nvil_repro.models.replicated_softmax import ReplicatedSoftmax
from tests.models.test_replicated_softmax import all_sequences, random_model

EXACT = {"rtol": 0, "atol": 1e-10}
STATES = enumerate_bits(2)


def transition_matrix(model: ReplicatedSoftmax, length: float) -> Tensor:
    """p(h' | h) of `gibbs`, integrated over all uniforms box by box: [4, 4]."""
    part, whole = math.modf(length)
    weights = [1.0] * int(whole) + [part] * bool(part)
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    for h, row in zip(STATES, matrix, strict=True):
        each = [(model.bias[0] + c * (model.weight[0] @ h)).softmax(-1) for c in weights]
        for words in all_sequences(len(weights), 3):
            p = torch.stack([e[k] for e, k in zip(each, words, strict=True)])
            middle = torch.stack([e.cumsum(-1)[k] - e[k] / 2 for e, k in zip(each, words, strict=True)])
            inputs = length * model.hidden_bias[0]
            inputs = inputs + sum(c * model.weight[0, k] for c, k in zip(weights, words, strict=True))
            on = torch.sigmoid(inputs)
            uniforms = torch.where(STATES > 0, on / 2, (1 + on) / 2)
            chains = chains_at(model, h.expand(1, 4, -1))
            assert torch.equal(gibbs(model, chains, length, middle.expand(4, -1), uniforms)[0], STATES)
            row += p.prod() * torch.where(STATES > 0, on, 1 - on).prod(-1)
    return matrix


def log_density(model: ReplicatedSoftmax, length: float) -> Tensor:
    """log f_d of every state, b's log sum taken off a word: [4]."""
    part, whole = math.modf(length)
    words = [(c, n) for c, n in ((1.0, whole), (part, 1)) if n]
    terms = [n * (model.bias[0] + c * (STATES @ model.weight[0].T)).logsumexp(-1) for c, n in words]
    bases = sum(n for _, n in words) * model.bias[0].logsumexp(-1)
    return length * (STATES @ model.hidden_bias[0]) + sum(terms) - bases


@pytest.mark.parametrize("length", [0.3, 1.0, 2.0, 2.6])
def test_a_step_leaves_the_density_of_its_length_as_it_is(length: int) -> None:
    model = random_model()
    p, matrix = log_density(model, length).softmax(0), transition_matrix(model, length)
    torch.testing.assert_close(matrix.sum(1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(p @ matrix, p, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        p[:, None] * matrix, (p[:, None] * matrix).T, rtol=0, atol=1e-12
    )  # both ways alike
    other = log_density(model, length + 1).softmax(0)
    assert (other @ matrix - other).abs().max() > 1e-3  # control


@pytest.mark.parametrize("ladder", [[0.0, 2.0], [0.0, 0.5, 1.0, 2.0], [0.0, 1.0, 1.25, 3.0]])
def test_weights_are_unbiased_at_every_length_up_and_down(ladder: list[float]) -> None:
    model, steps = random_model(), len(ladder) - 1
    paths = torch.tensor(list(itertools.product(range(4), repeat=steps)))
    z = torch.stack([log_density(model, length).exp().sum() for length in ladder])
    for rungs in (ladder, ladder[::-1]):
        probability = log_density(model, rungs[0]).softmax(0)[paths[:, 0]]
        for k, length in enumerate(rungs[1:-1]):
            probability = probability * transition_matrix(model, length)[paths[:, k], paths[:, k + 1]]
        log_w, _ = annealed_log_weights(
            rungs,
            chains_at(model, STATES[paths[:, 0]][None]),
            lambda chains, a, b: log_ratio(model, chains, a, b),
            lambda _, length, k: chains_at(model, STATES[paths[:, k]][None]),
            end=ladder[-1],
        )
        found = (log_w[:, 0].exp() * probability).sum(-1)
        expected = z / z[0] if rungs is ladder else (z / z[-1]).flip(0)
        for k in range(len(rungs)) if rungs is ladder else (steps,):
            torch.testing.assert_close(found[k], expected[k], **EXACT)
    log_z = torch.log(z[-1]) + ladder[-1] * model.bias[0].logsumexp(-1)
    torch.testing.assert_close(log_z, exact_log_partition(model, [int(ladder[-1])])[0, 0], **EXACT)


def test_the_ladder_holds_every_length_and_grows() -> None:
    ladder = length_ladder([3, 50, 1000], 500)
    assert (ladder[0], ladder[-1]) == (0, 1000)
    assert set(ladder) >= {3.0, 50.0, 1000.0}
    steps = np.diff(ladder)
    assert steps.min() > 0
    assert steps[0] < 0.1
    assert (ladder[ladder > 500] % 1 == 0).all()
    assert len(ladder) > 400
    assert length_ladder([7], 2).tolist() == [0, 7]
