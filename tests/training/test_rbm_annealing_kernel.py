"""The compiled annealing of RBMs against that of the general family, fed the very uniforms it draws for itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from nvil_repro.counters import counter_uniforms
from nvil_repro.evaluation.annealed_importance import annealed_log_weights, estimate
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.kernels import rbm_annealing
from nvil_repro.kernels.rbm_annealing import ais_compiled
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.rbm import RBM, Rbm, gibbs, log_unnormalised
from nvil_repro.models.unnormalised import between
from nvil_repro.streams import stream
from tests.oracle import random_bits

CHAINS, VISIBLE, HIDDEN = 7, 19, 11
RISING = [0.0, 0.2, 0.5, 0.7, 0.95, 1.0]


def machines() -> tuple[Rbm, Rbm]:
    """Two of random parameters, and the base of each."""
    draw, shapes = stream(0, "annealed"), ((2, VISIBLE, HIDDEN), (2, VISIBLE), (2, HIDDEN), (2, VISIBLE))
    weight, b, c, base = (torch.from_numpy(0.7 * draw.standard_normal(shape)) for shape in shapes)
    return Rbm(weight, b, c), Rbm(torch.zeros_like(weight), base, torch.zeros_like(c))


def by_torch(ladder: list[float], x: Tensor | None, seed: int) -> Tensor:
    """log f_b as the log p* of a machine between the two, and its Gibbs step."""
    theta, base = machines()
    u = counter_uniforms(seed, "ais", 0, (len(ladder), 1, CHAINS, HIDDEN + VISIBLE), torch.float64)

    def level(x: Tensor, b: float) -> Tensor:
        return log_unnormalised(between(base, theta, b), x)

    def step(x: Tensor, b: float, k: int) -> Tensor:
        return gibbs(between(base, theta, b), x, u[k])

    first = step(torch.zeros(2, CHAINS, VISIBLE, dtype=torch.float64), 0.0, 0) if x is None else x
    rows, _ = annealed_log_weights(ladder, first, lambda x, a, b: level(x, b) - level(x, a), step)
    return rows[-1]


@pytest.mark.parametrize("ladder", [RISING, RISING[::-1], [0.0, 1.0]])
@pytest.mark.parametrize("given", [False, True])
def test_weights_are_those_of_the_definition(ladder: list[float], given: bool) -> None:
    theta, base = machines()
    x = random_bits(2, CHAINS, VISIBLE) if given or ladder[0] else None
    found = ais_compiled(theta, base.visible_bias, ladder, CHAINS, 5, 1, x=x)
    torch.testing.assert_close(found, by_torch(ladder, x, 5), rtol=0, atol=1e-10)
    assert (found - by_torch(ladder, x, 6)).abs().max() > 0.1 or len(ladder) == 2  # control: other uniforms


def test_threads_and_blocks_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    theta, base = machines()
    arguments: Any = (theta, base.visible_bias, RISING, CHAINS, 5)
    found = ais_compiled(*arguments, 1)
    monkeypatch.setattr(rbm_annealing, "BLOCK", 3)
    monkeypatch.setattr(rbm_annealing, "SLICE", 2)
    assert torch.equal(ais_compiled(*arguments, 2), found)
    alone = Rbm(*(part[1:] for part in theta))
    assert torch.equal(ais_compiled(alone, base.visible_bias[1:], *arguments[2:], 1), found[1:])
    assert not torch.equal(ais_compiled(*arguments[:-1], 6, 1), found)  # control


def test_the_estimate_is_log_z() -> None:
    theta, base = machines()
    ladder = [k / 400 for k in range(401)]
    log_z0 = softplus(base.visible_bias).sum(-1) + HIDDEN * torch.tensor(2.0).double().log()
    found = estimate(log_z0, ais_compiled(theta, base.visible_bias, ladder, 200, 0, 1))
    exact = exact_log_partition(RBM, theta)
    assert bool(((found.lower < exact) & (exact < found.upper)).all())
    assert bool((found.upper - found.lower < 0.2).all())


def test_a_long_ladder_does_not_drift_in_single_precision() -> None:
    """Chains of the two precisions part where a uniform lies between their probabilities; most never do."""
    theta, base = machines()
    ladder = [k / 5_000 for k in range(5_001)]
    double = ais_compiled(theta, base.visible_bias, ladder, 20, 0, 1)
    small = Rbm(*(part.float() for part in theta))
    single = ais_compiled(small, base.visible_bias.float(), ladder, 20, 0, 1)
    assert 0 < float((double - single).abs().median()) < 1e-3


def test_a_ladder_that_falls_needs_samples() -> None:
    theta, base = machines()
    with pytest.raises(ValueError, match="needs chains to begin with"):
        ais_compiled(theta, base.visible_bias, RISING[::-1], CHAINS, 5, 1)
