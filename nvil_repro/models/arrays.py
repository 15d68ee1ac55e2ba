"""The border to the outside: a net from given arrays, a net as arrays, and checks of arrays handed in.

Weights are [in, out], as in the equations x^T W (a `torch.nn.Linear` stores the transpose).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias, TypedDict

import numpy as np
import torch
from torch import Tensor

from nvil_repro.models.autoregressive import strictly_upper
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.models.linear import NONE, Baseline, Conditional, Linear

Array: TypeAlias = np.ndarray | Tensor


Layer: TypeAlias = (
    tuple[Array, Array] | tuple[Array, Array, Array]
)  # weight [in, out], bias [out], lateral [out, out]


class NetArrays(TypedDict):
    """One belief net as numpy arrays, without the replica axis: the arguments of `net_from_arrays`."""

    centre: np.ndarray
    prior: np.ndarray
    generative: list[tuple[np.ndarray, ...]]
    recognition: list[tuple[np.ndarray, ...]]
    baselines: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
    prior_lateral: np.ndarray | None


def net_from_arrays(
    *,
    centre: Array,
    prior: Array,
    generative: Sequence[Layer],
    recognition: Sequence[Layer],
    baselines: Sequence[tuple[Array, Array, Array, Array]] = (),
    prior_lateral: Array | None = None,
) -> BeliefNet:
    """A net of one replica from copies of numpy arrays or tensors, all float64 or all float32.

    `centre` [D] is the training mean, `prior` [H_L] the logits of the deepest layer; `generative[i]` is the
    weight [H_{i+1}, H_i] and bias [H_i] of P(h^i | h^{i+1}), `recognition[i]` the weight [H_i, H_{i+1}] and
    bias [H_{i+1}] of Q(h^{i+1} | h^i), with h^0 = x; `baselines[i]` the weight [H_i, units], bias [units],
    weight [units, 1] and bias [1] of a tanh network that sees h^i, or none at all. A layer is autoregressive
    if a third array, its lateral weights, follows: strictly upper triangular, [k, j] feeds unit j > k;
    `prior_lateral` [H_L, H_L] makes the prior so.
    Errors: `ValueError` naming the array if the lists differ in length, if its dtype differs from that of
    `centre`, if its shape does not fit the others, if it holds NaN or infinity, or if lateral weights are
    not strictly upper triangular.
    """
    _check_lists(generative, recognition, baselines)
    dtype = _tensor(centre).dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"centre is {dtype}: give every array as float64, or every array as float32")

    def take(name: str, array: Array, *shape: int) -> Tensor:
        return _checked(name, array, shape, dtype)[None]

    def lateral(name: str, array: Array, units: int) -> Tensor:
        tensor = take(name, array, units, units)
        if not torch.equal(tensor, strictly_upper(tensor)):
            raise ValueError(
                f"{name} must be strictly upper triangular: [k, j] feeds unit j > k, and no other"
            )
        return tensor

    def conditional(name: str, layer: Layer, rows: int, columns: int) -> Conditional:
        weight, bias = (
            take(f"{name} weight", layer[0], rows, columns),
            take(f"{name} bias", layer[1], columns),
        )
        return Conditional(
            weight, bias, lateral(f"{name} lateral", layer[2], columns) if len(layer) > 2 else NONE
        )

    sizes = [_tensor(layer[1]).numel() for layer in generative] + [_tensor(prior).numel()]
    ups, downs, tanhs = [], [], []
    for i, (below, above) in enumerate(pairwise(sizes)):
        downs.append(conditional(f"generative[{i}]", generative[i], above, below))
        ups.append(conditional(f"recognition[{i}]", recognition[i], below, above))
        if baselines:
            weight, bias, output_weight, output_bias = baselines[i]
            units, name = _tensor(bias).numel(), f"baselines[{i}]"
            hidden = Linear(take(f"{name} weight", weight, below, units), take(f"{name} bias", bias, units))
            output_weight = take(f"{name} output weight", output_weight, units, 1)
            tanhs.append(Baseline(hidden, Linear(output_weight, take(f"{name} output bias", output_bias, 1))))
    centre = take("centre", centre, sizes[0])[0]
    top = NONE if prior_lateral is None else lateral("prior_lateral", prior_lateral, sizes[-1])
    return BeliefNet(centre, take("prior", prior, sizes[-1]), tuple(downs), tuple(ups), tuple(tanhs), top)


def _check_lists(
    generative: Sequence[Layer], recognition: Sequence[Layer], baselines: Sequence[object]
) -> None:
    layers = len(generative)
    for name, count in (("recognition", len(recognition)), ("baselines", len(baselines) or layers)):
        if count != layers or not layers:
            raise ValueError(
                f"{name} has {count} layers and generative has {layers}: give one of each per layer"
            )
    for name, parts, expected in (
        ("generative", generative, (2, 3)),
        ("recognition", recognition, (2, 3)),
        ("baselines", baselines, (4,)),
    ):
        for i, part in enumerate(parts):
            if not isinstance(part, (tuple, list)) or len(part) not in expected:
                counts = " or ".join(map(str, expected))
                raise ValueError(f"{name}[{i}] is not a tuple of {counts} arrays")


def net_to_arrays(net: BeliefNet, replica: int = 0) -> NetArrays:
    """One replica as numpy arrays (copies); `net_from_arrays(**arrays)` builds it again."""

    def give(tensor: Tensor) -> np.ndarray:
        return tensor[replica].detach().cpu().numpy().copy()

    def layers(conditionals: Sequence[Conditional]) -> list[tuple[np.ndarray, ...]]:
        return [tuple(give(part) for part in conditional if part.numel()) for conditional in conditionals]

    return NetArrays(
        centre=net.centre.detach().cpu().numpy().copy(),
        prior=give(net.prior),
        generative=layers(net.generative),
        recognition=layers(net.recognition),
        baselines=[(give(h.weight), give(h.bias), give(o.weight), give(o.bias)) for h, o in net.baselines],
        prior_lateral=give(net.prior_lateral) if net.prior_lateral.numel() else None,
    )


def bits(name: str, array: Array, *columns: int) -> Tensor:
    """A batch of zeros and ones [B, columns], as a tensor in its own dtype.

    Errors: `ValueError` naming the array and its shape, or the first entry that is neither 0 nor 1.
    """
    tensor = _tensor(array)
    if tensor.ndim != 2 or tuple(tensor.shape[1:]) != columns or not len(tensor):
        expected = ", ".join(map(str, columns))
        shape = list(tensor.shape)
        raise ValueError(f"{name} must be [cases, {expected}] with at least one case, got shape {shape}")
    wrong = tensor > 1 if tensor.dtype == torch.uint8 else (tensor != 0) & (tensor != 1)
    if bool(wrong.any()):
        where = tuple(int(i) for i in wrong.nonzero()[0])
        raise ValueError(
            f"{name} must hold zeros and ones only, got {tensor[where].item()} at {list(where)}: "
            "binarise it first"
        )
    return tensor


def _tensor(array: Array) -> Tensor:
    return array.detach() if isinstance(array, Tensor) else torch.from_numpy(np.array(array))


def _checked(name: str, array: Array, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    tensor = _tensor(array)
    if tuple(tensor.shape) != shape:
        raise ValueError(
            f"{name} has shape {list(tensor.shape)}, expected {list(shape)} to fit the other arrays"
        )
    if tensor.dtype != dtype:
        raise ValueError(f"{name} is {tensor.dtype} and centre is {dtype}: give every array in one dtype")
    wrong = ~tensor.isfinite()
    if bool(wrong.any()):
        where = tuple(int(i) for i in wrong.nonzero()[0])
        raise ValueError(f"{name} holds {tensor[where].item()} at {list(where)}: all entries must be finite")
    return tensor.clone(memory_format=torch.contiguous_format)
