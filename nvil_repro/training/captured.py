"""Updates on a GPU: one is compiled, captured as a CUDA graph and replayed for each minibatch of a chunk.

An update of these nets is some hundred kernels of a few microseconds, which eager torch takes longer to launch than a
GPU to run. Compiling fuses most of them; a graph launches the rest at once. All replicas are one batched product, so
seeds and variants cost little until they fill the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from nvil_repro.trees import clone, leaves

Step = Callable[..., None]
_WARM_UPS = 3  # what libraries allocate at their first calls must not be captured
_KINDS = 1_000  # of nets that one process may compile


class Captured:
    """One update of a state, replayable: it reads a chunk's minibatches and the plan from copies at fixed addresses.

    The state's own tensors are not held here, so that they may go when nobody else needs them.
    """

    def __init__(self, step: Step, state: Any, plan: Any, x: Tensor, uniforms: Sequence[Tensor]) -> None:
        like = state.net.prior
        self.inputs = clone((plan, x, tuple(uniforms)))
        self.t = torch.zeros(1, dtype=torch.int64, device=like.device)
        self.update = torch.zeros((), dtype=torch.float64, device=like.device)
        self.bounds = torch.zeros(x.shape[1], len(like), dtype=like.dtype, device=like.device)
        self.addresses = _addresses(state)
        arguments = (state, *self.inputs, self.t, self.update, self.bounds)
        before = clone(arguments)
        self.again = capture(lambda: step(*arguments), self.t.zero_, like.device)
        _copy(arguments, before)

    def fits(self, state: Any, plan: Any, x: Tensor, uniforms: Sequence[Tensor]) -> bool:
        """Whether this is the same state, at the same addresses, and a chunk of this kind, no longer than the first."""
        was, chunk, draws = self.inputs
        steps = x.shape[1]
        first = (was, chunk[:, :steps], tuple(u[:, :steps] for u in draws))
        fitting = steps <= chunk.shape[1] and _kinds(first) == _kinds((plan, x, tuple(uniforms)))
        return fitting and self.addresses == _addresses(state)

    def replay(self, plan: Any, x: Tensor, uniforms: Sequence[Tensor], first_update: int) -> Tensor:
        """Run the chunk; its bounds [T, R]."""
        was, chunk, draws = self.inputs
        steps = x.shape[1]
        _copy(was, plan)
        for target, source in zip((chunk, *draws), (x, *uniforms), strict=True):
            target[:, :steps].copy_(source)
        self.t.zero_()
        self.update.fill_(first_update)
        for _ in range(steps):
            self.again()
        return self.bounds[:steps].clone()


def capture(
    once: Callable[[], None], rewind: Callable[[], object], device: torch.device
) -> Callable[[], None]:
    """Runs on a GPU again what `once` runs there, on the same tensors, all of it at once; `rewind` is called before
    each warm-up.
    """
    limits = {"recompile_limit": _KINDS, "accumulated_recompile_limit": _KINDS}
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device):
        with torch.cuda.stream(_beside()), torch._dynamo.config.patch(limits):
            for _ in range(_WARM_UPS):
                rewind()
                once()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            once()
    return graph.replay


_CAPTURED: WeakIdKeyDictionary = WeakIdKeyDictionary()  # by the first tensor of a state


@torch.no_grad()
def advance_captured(
    step: Step, state: Any, plan: Any, x: Tensor, uniforms: Sequence[Tensor], first_update: int
) -> Tensor:
    """Replay `step` for each of the T minibatches of `x` [G, T, B, D]: what it left in `bounds`, [T, R].

    `step(state, plan, x, uniforms, t, update, bounds)` runs update `update`, a 0-dim tensor, on minibatch `t`, a tensor
    [1], in place, writes row `t` of `bounds` and counts both up. It is captured anew for another state.
    """
    captured = _CAPTURED.get(state.net.prior)
    if captured is None or not captured.fits(state, plan, x, uniforms):
        captured = _CAPTURED[state.net.prior] = Captured(step, state, plan, x, uniforms)
    return captured.replay(plan, x, uniforms, first_update)


def _beside() -> torch.cuda.Stream:
    """A stream that begins after all work so far; work captured must not be in the default one."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    return side


def _addresses(state: Any) -> list[int]:
    return [tensor.data_ptr() for _, tensor in leaves(state)]


def _kinds(tree: Any) -> list[Any]:
    """What a graph is bound to: type and shape of every tensor, and all else as it is."""
    if isinstance(tree, Tensor):
        return [(tree.dtype, tree.shape)]
    return [kind for part in tree for kind in _kinds(part)] if isinstance(tree, tuple) else [tree]


def _copy(target: Any, source: Any) -> None:
    """Copy tensors into those of a tree of the same kind; what is no tensor is the same in both."""
    if isinstance(target, Tensor):
        target.copy_(source)
    elif isinstance(target, tuple):
        for to, of in zip(target, source, strict=True):
            _copy(to, of)
