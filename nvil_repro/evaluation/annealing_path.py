"""The path of models (1 - b) base + b theta along which a family is annealed, b from 0 to 1, and chains on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.counters import counter_uniforms
from nvil_repro.models import bernoulli
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import Base, Family, between, check_finite, like

Watch = Callable[[int], None]  # hears of every rung that is done


class Path(NamedTuple):
    """What annealing asks of a path. A state is C cases of each of R models, with what is worth keeping about them."""

    log_z: Tensor  # [R], of the base, float64
    visible: int  # D
    width: int  # K, uniforms that a step takes
    dtype: torch.dtype
    enter: Callable[[Tensor], Any]  # cases x [R or 1, C, D] -> a state
    cases: Callable[[Any], Tensor]  # a state -> x [R, C, D]
    log_ratio: Callable[[Any, float, float], Tensor]  # (state, a, b) -> log f_b - log f_a [R, C]
    step: Callable[
        [Any, float, Tensor], Any
    ]  # (state, b, uniforms [1, C, K]) -> a state, leaving f_b as it is
    # (rungs, x [R, C, D], seed, name, watch) -> log w [R, C] by compiled code, where there is any
    compiled: Callable[[Sequence[float], Tensor, int, str, Watch | None], Tensor] | None = None


class Units(NamedTuple):
    """Cases of an RBM with their products, of which one a step serves both its log ratio and its next hidden units."""

    x: Tensor  # [R, C, D]
    logits: Tensor  # c + x W [R, C, H]
    shift: Tensor  # x.(b - b_0) [R, C]


def annealing_path(family: Family, theta: Any, mean: Tensor | None = None) -> Path:
    """The path from the base, near data of this mean [D] if it is given, to theta.

    Errors: `ValueError` for a family without a base or a Gibbs step, or naming a parameter that is not finite.
    """
    base = known_base(family, theta, mean)
    return _rbm_path(base, theta) if family is RBM else _family_path(family, base, theta)


def known_base(family: Family, theta: Any, mean: Tensor | None = None) -> Base:
    """The family's base in theta's dtype, and its log Z in float64. Errors: as `annealing_path`."""
    if family.base is None or family.gibbs is None or family.uniforms is None:
        lacking = "base" if family.base is None else "Gibbs step"
        raise ValueError(
            f"{family.name} has no {lacking}, and annealing needs one: give the family a `base` and `gibbs`"
        )
    check_finite(theta)
    mean = None if mean is None else mean.to(theta[0].dtype)
    exact = family.base(like(theta, [part.double() for part in theta]), mean)
    return Base(like(theta, [part.to(theta[0].dtype) for part in exact.theta]), exact.log_z)


def begin(path: Path, chains: int, seed: int, name: str) -> Any:
    """Samples of the base, by `draws` number 0: a step there forgets where it began."""
    anywhere = path.enter(torch.zeros(1, chains, path.visible, dtype=path.dtype))
    return path.step(anywhere, 0.0, draws(path, chains, seed, name, 0))


def draws(path: Path, chains: int, seed: int, name: str, index: int) -> Tensor:
    """Uniforms of step k = `index`, which replicas share: `counter_uniforms(seed, name, 0, (steps, C, K))[k]`, as
    compiled code reads them, [1, C, K].
    """
    shape = 1, chains, path.width
    return counter_uniforms(seed, name, 0, shape, path.dtype, offset=index * chains * path.width)


def _family_path(family: Family, base: Base, theta: Any) -> Path:
    assert family.uniforms is not None

    def log_ratio(x: Tensor, a: float, b: float) -> Tensor:
        low, high = (family.log_unnormalised(between(base.theta, theta, at), x) for at in (a, b))
        return high - low

    def step(x: Tensor, b: float, draws: Tensor) -> Tensor:
        assert family.gibbs is not None
        return family.gibbs(between(base.theta, theta, b), x, draws)

    def enter(x: Tensor) -> Tensor:
        return x.to(theta[0].dtype).expand(len(theta[0]), -1, -1)

    width = family.uniforms(theta)
    return Path(base.log_z, family.visible(theta), width, theta[0].dtype, enter, lambda x: x, log_ratio, step)


def _rbm_path(base: Base, theta: Rbm) -> Path:
    """The same for an RBM, whose base has no weights: f_b(x) = e^{(b_0 + b (b_1 - b_0)).x} prod_k (1 + e^{...})."""
    first, bias = base.theta, theta.visible_bias - base.theta.visible_bias

    def enter(x: Tensor) -> Units:
        x = x.to(theta.weight.dtype).expand(len(theta.weight), -1, -1)
        logits = torch.baddbmm(theta.hidden_bias[:, None], x, theta.weight)
        return Units(x, logits, torch.matmul(x, bias[..., None])[..., 0])

    def hidden(state: Units, b: float) -> Tensor:
        return torch.lerp(first.hidden_bias[:, None].expand_as(state.logits), state.logits, b)

    def log_ratio(state: Units, a: float, b: float) -> Tensor:
        each = softplus(hidden(state, b)) - softplus(
            hidden(state, a)
        )  # small differences before they are summed
        return each.sum(-1) + (b - a) * state.shift

    def step(state: Units, b: float, draws: Tensor) -> Units:
        to_hidden, to_visible = draws.split((state.logits.shape[-1], state.x.shape[-1]), -1)
        h = bernoulli.sample(hidden(state, b), to_hidden)
        biases = torch.lerp(first.visible_bias, theta.visible_bias, b)[:, None]
        return enter(bernoulli.sample(torch.baddbmm(biases, h, theta.weight.mT, alpha=b), to_visible))

    return Path(
        base.log_z,
        theta.weight.shape[1],
        sum(theta.weight.shape[1:]),
        theta.weight.dtype,
        enter,
        lambda state: state.x,
        log_ratio,
        step,
        partial(_by_kernel, theta, first.visible_bias) if _has_kernel(first, theta) else None,
    )


def _has_kernel(base: Rbm, theta: Rbm) -> bool:
    """Whether compiled code knows this path, from a machine without weights or hidden biases, and can be had here."""
    bare = not bool(base.weight.any() or base.hidden_bias.any())
    return bare and theta.weight.dtype == torch.float32 and find_spec("numba") is not None


def _by_kernel(
    theta: Rbm,
    base_bias: Tensor,
    rungs: Sequence[float],
    x: Tensor,
    seed: int,
    name: str,
    watch: Watch | None,
) -> Tensor:
    from nvil_repro.kernels.rbm_annealing import ais_compiled

    threads = torch.get_num_threads()
    return ais_compiled(theta, base_bias, rungs, x.shape[1], seed, threads, x=x, name=name, watch=watch)
