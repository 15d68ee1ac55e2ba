"""Trees of tensors: names, copies on fresh memory, one replica, restoring."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from nvil_repro.trees import clone, copy_replicas, leaves, replica, restore, view


class Pair(NamedTuple):
    """A constant and two layers."""

    centre: Tensor
    layers: tuple[Tensor, ...]


def pair(value: float = 0.0) -> Pair:
    return Pair(torch.full((2,), value), (torch.full((2, 3), value), torch.full((2, 3, 4), value)))


def test_leaves_are_named_by_field_and_position() -> None:
    assert [name for name, _ in leaves(pair())] == ["centre", "layers/0", "layers/1"]
    with pytest.raises(TypeError, match="1 is a list"):
        list(leaves((torch.zeros(1), [])))


def test_a_clone_shares_nothing() -> None:
    original = pair()
    copy = clone(original)
    copy.layers[0].fill_(1)
    assert isinstance(copy, Pair)
    assert not original.layers[0].any()


def test_a_clone_has_its_entries_in_order() -> None:
    turned = torch.arange(6.0).view(2, 3).T
    assert not turned.is_contiguous()
    copy = clone((turned,))[0]
    assert copy.is_contiguous()
    assert torch.equal(copy, turned)


def test_one_replica_keeps_its_axis_and_the_constants() -> None:
    assert [tuple(tensor.shape) for _, tensor in leaves(replica(pair(), 1))] == [(2,), (1, 3), (1, 3, 4)]


def test_a_view_shares_its_memory_and_a_replica_does_not() -> None:
    original = pair()
    replica(original, 1).layers[0].fill_(1)
    assert not original.layers[0].any()
    view(original, 1).layers[0].fill_(1)
    assert original.layers[0].tolist() == [[0, 0, 0], [1, 1, 1]]


def test_only_marked_replicas_are_copied() -> None:
    target = pair()
    copy_replicas(target, pair(1.0), torch.tensor([False, True]))
    assert target.layers[0].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert target.centre.tolist() == [0, 0]


def test_restoring_refuses_what_does_not_fit() -> None:
    target, tensors = pair(), dict(leaves(pair(2.0)))
    restore(target, tensors)
    assert bool((target.layers[1] == 2).all())
    with pytest.raises(ValueError, match="'layers/0' is missing"):
        restore(target, {k: v for k, v in tensors.items() if k != "layers/0"})
    with pytest.raises(ValueError, match="'more' is unexpected"):
        restore(target, tensors | {"more": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"torch.float64 \(2, 3\), expected torch.float32"):
        restore(target, tensors | {"layers/0": torch.zeros(2, 3, dtype=torch.float64)})
