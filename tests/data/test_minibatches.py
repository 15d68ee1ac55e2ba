"""A minibatch is a function of the seed and the update."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.data import minibatches
from nvil_repro.data.minibatches import minibatch_indices


def test_every_case_is_seen_once_an_epoch() -> None:
    batches = minibatch_indices(n=10, batch=4, first_update=0, count=5, seed=3)
    assert batches.shape == (5, 4)
    assert batches.dtype == torch.int64
    epochs = batches.flatten().split(10)
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


@pytest.mark.parametrize(("first", "count"), [(0, 1), (2, 1), (1, 7), (6, 30), (25, 3)])
def test_an_update_sees_the_same_cases_whatever_is_asked_with_it(first: int, count: int) -> None:
    whole = minibatch_indices(10, 4, 0, 40, seed=1)
    assert torch.equal(minibatch_indices(10, 4, first, count, seed=1), whole[first : first + count])


def test_seeds_differ() -> None:
    assert not torch.equal(minibatch_indices(100, 20, 0, 5, seed=0), minibatch_indices(100, 20, 0, 5, seed=1))


def test_no_updates_and_whole_batches() -> None:
    assert minibatch_indices(10, 4, 7, 0, seed=0).shape == (0, 4)
    assert sorted(minibatch_indices(10, 10, 7, 1, seed=0)[0].tolist()) == list(range(10))


@pytest.mark.parametrize(
    ("n", "batch", "first", "count", "message"),
    [
        (10, 11, 0, 1, "1 and the 10 cases of the data set, got 11"),
        (10, 0, 0, 1, "got 0"),
        (0, 1, 0, 1, "0 cases"),
        (10, 2, -1, 1, "-1"),
        (10, 2, 0, -1, "-1"),
    ],
)
def test_impossible_requests_are_refused(n: int, batch: int, first: int, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        minibatch_indices(n, batch, first, count, seed=0)


def test_a_generator_that_carries_state_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = minibatches.stream(0, "minibatches")
    monkeypatch.setattr(minibatches, "_permutation", lambda n, seed, epoch: generator.permutation(n))
    assert not torch.equal(minibatch_indices(50, 5, 3, 2, 0), minibatch_indices(50, 5, 0, 5, 0)[3:])
