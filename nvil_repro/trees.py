"""States are nested (named) tuples of tensors; here they are named, copied and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

Tree = TypeVar("Tree")  # a tensor, or a NamedTuple or tuple of trees


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """(path, tensor) of every tensor in `tree`, in order: `net/generative/0/weight`.

    Errors: `TypeError` naming a part that is neither a tensor nor a tuple.
    """
    if isinstance(tree, Tensor):
        yield name, tree
    elif isinstance(tree, tuple):
        for field, part in zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True):
            yield from leaves(part, f"{name}/{field}" if name else str(field))
    else:
        raise TypeError(
            f"{name or 'the state'} is a {type(tree).__name__}; a state holds tensors and tuples only"
        )


def clone(tree: Tree, device: str | torch.device | None = None) -> Tree:
    """The same tree on fresh memory, on `device` if one is given, every tensor in the order of its entries, as compiled
    engines read it; what is not a tensor is kept as it is.
    """

    def fresh(tensor: Tensor) -> Tensor:
        there = device or tensor.device
        return tensor.detach().to(there, copy=True, memory_format=torch.contiguous_format)

    return _map(tree, fresh)


def view(tree: Tree, index: int) -> Tree:
    """Replica `index` alone, R = 1, on the same memory; tensors of fewer than two axes stay whole."""
    return _map(tree, lambda tensor: tensor[index : index + 1] if tensor.ndim > 1 else tensor)


def replica(tree: Tree, index: int) -> Tree:
    """The same on fresh memory."""
    return clone(view(tree, index))


def _map(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if not isinstance(tree, tuple):
        return tree
    parts = [_map(part, change) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


@torch.no_grad()
def copy_replicas(target: Tree, source: Tree, which: Tensor) -> None:
    """Copy the replicas marked in `which` (bool [R]) from `source` into `target`, in place.

    Tensors of fewer than two axes are constants that all replicas share, and stay.
    """
    for (_, to), (_, of) in zip(leaves(target), leaves(source), strict=True):
        if to.ndim > 1:
            mask = which.to(to.device)
            to[mask] = of[mask]


@torch.no_grad()
def restore(tree: Any, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors`, named as `leaves(tree)` names them, into `tree` in place.

    Errors: `ValueError` naming the first tensor that is missing, unexpected or of another shape or dtype.
    """
    wanted = dict(leaves(tree))
    for name in sorted(wanted.keys() ^ tensors.keys()):
        raise ValueError(f"tensor {name!r} is {'missing' if name in wanted else 'unexpected'}")
    for name, tensor in wanted.items():
        found = tensors[name]
        if (found.shape, found.dtype) != (tensor.shape, tensor.dtype):
            expected = f"{tensor.dtype} {tuple(tensor.shape)}"
            raise ValueError(f"tensor {name!r} is {found.dtype} {tuple(found.shape)}, expected {expected}")
        tensor.copy_(found)
