"""What is made ahead is what would be made at once."""

from __future__ import annotations

import threading

import pytest
import torch

from nvil_repro.training.ahead import Ahead
from nvil_repro.training.belief_nets import BeliefNets
from tests.training.toys import toy_data, toy_settings


def test_made_beforehand_once_in_another_thread_or_at_once_in_this_one() -> None:
    calls: list[tuple[int, int, bool]] = []

    def make(first: int, count: int) -> int:
        calls.append((first, count, threading.current_thread() is threading.main_thread()))
        return first * 100 + count

    ahead = Ahead(make)
    assert ahead(0, 5) == 5
    ahead.draw(5, 5)
    assert ahead(5, 5) == 505
    assert ahead(5, 5) == 505  # and made again
    ahead.draw(10, 0)
    ahead.draw(10, 5)
    assert ahead(10, 3) == 1003  # something else than was expected
    assert calls[:3] == [(0, 5, True), (5, 5, False), (5, 5, True)]
    assert (10, 0) not in [call[:2] for call in calls]


def test_an_error_comes_where_the_work_is_asked_for() -> None:
    def refuse(first: int, count: int) -> None:
        raise ValueError(f"no {first}")

    ahead = Ahead(refuse)
    ahead.draw(5, 5)
    with pytest.raises(ValueError, match="no 5"):
        ahead(5, 5)


def test_a_chunks_minibatches_and_uniforms_are_the_same_ahead() -> None:
    method = BeliefNets(toy_settings(method="wake-sleep", variants=("",)), toy_data().train, toy_data().valid)
    cases, draws = method.inputs(5, 5)
    method.inputs.draw(5, 5)
    method.inputs.draw(10, 5)  # the last one asked for
    method.inputs.draw(5, 5)
    again, drawn = method.inputs(5, 5)
    others, _ = method.inputs(10, 5)
    assert torch.equal(cases, again)
    assert [u.shape[-1] for u in draws] == [3, 2, 6, 3, 2]
    assert all(torch.equal(a, b) for a, b in zip(draws, drawn, strict=True))
    assert not torch.equal(cases, others)  # control
