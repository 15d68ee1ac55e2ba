"""log Z of the replicated softmax against the sum over all sequences, and what annealing makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import from_dense
from nvil_repro.evaluation.annealed_importance import AnnealedEstimate, estimate
from nvil_repro.evaluation.replicated_softmax import (
    Partition,
    exact_log_partition,
    log_partition,
    log_partition_floor,
    log_partition_from_above,
    log_prob,
)
from nvil_repro.models.replicated_softmax import (
    ReplicatedSoftmax,
    documents,
    hidden_logits,
    log_unnormalised,
)
from nvil_repro.models.unigram import log_prob as unigram_log_prob
from nvil_repro.models.unigram import unigram
from nvil_repro.trees import replica
from tests.models.test_replicated_softmax import all_sequences, counted, random_model

EXACT = {"rtol": 0, "atol": 1e-10}


def exactly(model: ReplicatedSoftmax, lengths: list[int]) -> Partition:
    """What `log_partition` would give if it knew."""
    log_z = exact_log_partition(model, lengths)
    return Partition(torch.tensor(lengths), estimate(log_z, torch.zeros(*log_z.shape, 2)))


@pytest.mark.parametrize("hidden", [2, 9])
def test_log_z_is_the_sum_over_all_sequences(hidden: int) -> None:
    model = random_model(hidden=hidden, replicas=2)
    found = exact_log_partition(model, [1, 2, 5])
    for length, log_z in zip((1, 2, 5), found.T, strict=True):
        x = documents(counted(all_sequences(length, 3), 3), torch.float64)
        torch.testing.assert_close(log_z, log_unnormalised(model, x).logsumexp(-1), **EXACT)
    unscaled = exact_log_partition(model._replace(hidden_bias=model.hidden_bias / 2), [2])  # control
    assert (unscaled[:, 0] - found[:, 1]).abs().max() > 0.1


@pytest.mark.parametrize("length", [1, 3])
def test_probabilities_of_all_sequences_of_a_length_sum_to_one(length: int) -> None:
    model, x = random_model(vocabulary=4, hidden=3, replicas=2), counted(all_sequences(length, 4), 4)
    total = log_prob(model, x, exactly(model, [length])).value.exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(2, dtype=torch.float64), **EXACT)
    other = log_prob(model, x, exactly(model, [length + 1])._replace(lengths=torch.tensor([length])))
    assert (other.value.exp().sum(-1) - 1).abs().min() > 0.1  # control: of another length


def test_without_weights_log_z_is_exact_and_the_model_is_the_unigram() -> None:
    """The chains agree then, whatever they do."""
    x = from_dense(np.array([[3, 0, 1, 0], [2, 5, 0, 0], [0, 0, 0, 30]]))
    words = unigram(x)
    bias = torch.from_numpy(words.log_p)[None] + 0.7
    model = ReplicatedSoftmax(torch.zeros(1, 4, 3).double(), torch.zeros(1, 3).double(), bias)
    up = log_partition(model, [30, 4, 7], chains=3, rungs=5)
    down = log_partition_from_above(model, [30, 4, 7], x, chains=3, rungs=5)
    for partition in (up, down):
        assert partition.lengths.tolist() == [4, 7, 30]
        for log_z in partition.log_z[:3]:
            torch.testing.assert_close(log_z, exact_log_partition(model, [4, 7, 30]), **EXACT)
        for value in log_prob(model, x, partition):
            torch.testing.assert_close(value[0], torch.from_numpy(unigram_log_prob(words, x)), **EXACT)


LENGTHS = [1, 2, 7, 40]


def rising(model: ReplicatedSoftmax, *, seed: int = 0) -> AnnealedEstimate:
    return log_partition(model, LENGTHS, chains=50, rungs=60, seed=seed).log_z


def falling(model: ReplicatedSoftmax, *, seed: int = 0) -> AnnealedEstimate:
    x = from_dense(np.eye(12, dtype=np.int64) * 3)
    return log_partition_from_above(model, LENGTHS, x, chains=50, rungs=60, seed=seed).log_z


@pytest.mark.parametrize(("method", "scale"), [(rising, 1.0), (falling, 0.5)])
def test_all_lengths_come_from_one_run(method: Callable[..., AnnealedEstimate], scale: float) -> None:
    model = random_model(vocabulary=12, hidden=6, replicas=2)
    model = model._replace(weight=model.weight * scale)
    exact, found = exact_log_partition(model, LENGTHS), method(model)
    assert bool(((found.lower < exact) & (exact < found.upper)).all())
    assert bool((found.upper - found.lower < 1.5).all())
    assert not bool(((found.lower < exact + 1) & (exact + 1 < found.upper)).any())  # control
    torch.testing.assert_close(method(replica(model, 1)).log_z[0], found.log_z[1], **EXACT)
    assert not torch.equal(method(model, seed=1).log_z, found.log_z)


def test_chains_that_cannot_leave_their_documents_make_reverse_annealing_too_low() -> None:
    model = random_model(vocabulary=12, hidden=6)
    exact, found = exact_log_partition(model, LENGTHS), falling(model)
    assert found.log_z[0, -1] < exact[0, -1] - 5
    assert found.log_z[0, -1] < rising(model).log_z[0, -1] - 5  # which shows it


def test_the_floor_is_the_part_of_the_sum_that_documents_name() -> None:
    model = random_model(vocabulary=4, hidden=3, replicas=2)
    exact, x = exact_log_partition(model, [2, 9]), counted(all_sequences(5, 4), 4)
    floor = log_partition_floor(model, [2, 9], x)
    assert bool((floor < exact + 1e-12).all())
    reached = [(hidden_logits(model, documents(x, torch.float64))[r] > 0).unique(dim=0) for r in range(2)]
    for r, states in enumerate(reached):
        g = states.double() @ model.hidden_bias[r]
        g = g + (states.double() @ model.weight[r].T + model.bias[r]).exp().sum(-1).log()
        torch.testing.assert_close(floor[r, 1], (9 * g).logsumexp(0), **EXACT)
    assert bool(
        (log_partition_floor(model, [2, 9], x.take(np.array([0]))) < floor).all()
    )  # control: fewer states


def test_an_estimate_that_missed_a_mode_is_raised_to_the_floor() -> None:
    """One of 2^12 states, all units off, has nearly all of Z, and chains of three rungs do not reach it."""
    model = random_model(vocabulary=4, hidden=12)
    model = model._replace(hidden_bias=torch.full((1, 12), -8.0).double(), weight=model.weight * 0.1)
    x, exact = from_dense(np.array([[1, 1, 2, 0]])), exact_log_partition(model, [4])
    free = log_partition(model, [4], chains=3, rungs=3).log_z
    raised = log_partition(model, [4], x, chains=3, rungs=3).log_z
    floor = log_partition_floor(model, [4], x)
    assert bool((free.upper < floor).all())
    assert raised.log_z == raised.lower == raised.upper == floor
    assert bool((exact - floor).abs() < 1e-6)


def test_the_interval_of_a_document_is_that_of_its_length() -> None:
    model, x = random_model(), counted(np.array([[0, 2, 2], [1, 1, 0]]), 3)
    partition = log_partition(model, [3, 5], chains=10, rungs=5)
    found, z = log_prob(model, x, partition), partition.log_z
    unnormalised = log_unnormalised(model, documents(x, torch.float64))
    for value, log_z in zip(found, (z.log_z, z.upper, z.lower), strict=True):
        torch.testing.assert_close(value, unnormalised - log_z[:, :1], **EXACT)
    assert bool((found.lower < found.value).all() & (found.value < found.upper).all())


def test_bad_input_is_refused() -> None:
    model, x = random_model(), counted(np.array([[0, 2, 2], [1, 1, 0]]), 3)
    for lengths in ([], [0], [3, -1]):
        for function in (exact_log_partition, log_partition):
            with pytest.raises(ValueError, match=r"expected at least one, each of at least 1 word"):
                function(model, lengths)
    with pytest.raises(ValueError, match="30 hidden units have 2\\^30 states"):
        exact_log_partition(random_model(hidden=30), [1])
    with pytest.raises(ValueError, match="chains=1: expected at least 2"):
        log_partition(model, [3], chains=1)
    with pytest.raises(ValueError, match="rungs=1: expected at least 2"):
        log_partition(model, [3], rungs=1)
    with pytest.raises(ValueError, match="is NaN: are all parameters finite"):
        log_partition(model._replace(hidden_bias=model.hidden_bias * math.nan), [3], rungs=5)
    with pytest.raises(ValueError, match="log Z is not known for documents of 3 words"):
        log_prob(model, x, exactly(model, [1, 4]))
    with pytest.raises(ValueError, match="the documents count 3 words and the model knows 5"):
        log_prob(random_model(vocabulary=5), x, exactly(model, [3]))
    with pytest.raises(ValueError, match="the documents count 3 words and the model knows 5"):
        log_partition_from_above(random_model(vocabulary=5), [3], x)
    for bad, message in (
        ({"lengths": [0]}, "each of at least 1 word"),
        ({"chains": 1}, "chains=1: expected at least 2"),
        ({"rungs": 1}, "rungs=1: expected at least 2"),
        ({"begin": x.take(np.array([], dtype=int))}, "no documents to begin at"),
    ):
        with pytest.raises(ValueError, match=message):
            log_partition_from_above(model, **({"lengths": [3], "begin": x} | bad))
