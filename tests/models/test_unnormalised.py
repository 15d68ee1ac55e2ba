"""What every family of unnormalised models promises, against enumeration and against its own log p*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.models import rbm as rbms
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM, GaussianRbm, visible_mean
from nvil_repro.models.rbm import RBM, Rbm, rbm
from nvil_repro.models.unnormalised import (
    Family,
    autograd_gradient,
    between,
    check_finite,
    energy_family,
    flip,
    flipped_log_ratios,
)

EXACT = {"rtol": 0, "atol": 1e-10}


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_rbm(visible: int = 4, hidden: int = 3, replicas: int = 2) -> Rbm:
    return Rbm(
        normals(replicas, visible, hidden),
        normals(replicas, visible, seed=1),
        normals(replicas, hidden, seed=2),
    )


MINE = energy_family("mine", lambda theta, x: rbms.log_unnormalised(theta, x), visible=4)
COUPLED = Boltzmann(normals(2, 4, 4, seed=3), normals(2, 4, seed=4))
BINARY: dict[str, tuple[Family, Any]] = {
    "RBM": (RBM, random_rbm()),
    "mine": (MINE, random_rbm()),
    "Boltzmann": (BOLTZMANN, COUPLED),
}
GAUSSIAN = GaussianRbm(*random_rbm(), normals(2, 4, seed=6) / 2)
FAMILIES = BINARY | {"Gaussian RBM": (GAUSSIAN_RBM, GAUSSIAN)}
every = pytest.mark.parametrize(("family", "theta"), FAMILIES.values(), ids=FAMILIES)
MEAN_GIVEN_HIDDEN: dict[str, Callable[[Any, Tensor], Tensor]] = {  # E[x | h] of every family that has them
    "RBM": lambda theta, h: torch.sigmoid(rbms.visible_logits(theta, h)),
    "Gaussian RBM": visible_mean,
}
binary = pytest.mark.parametrize(("family", "theta"), BINARY.values(), ids=BINARY)


def probabilities(family: Family, theta: Any, states: Tensor) -> Tensor:
    return family.log_unnormalised(theta, states[None]).softmax(-1)


@every
def test_the_gradient_is_that_of_log_p(family: Family, theta: Any) -> None:
    x, weights = enumerate_bits(4)[None, 3:9], normals(2, 6, seed=5)
    found, expected = (
        family.gradient(theta, x, weights),
        autograd_gradient(family.log_unnormalised, theta, x, weights),
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    other = autograd_gradient(family.log_unnormalised, theta, x, weights.abs())  # control
    assert (other[0] - found[0]).abs().max() > 0.1


@binary
def test_log_ratios_are_differences_of_log_p(family: Family, theta: Any) -> None:
    x = enumerate_bits(4)[None]
    assert family.log_ratios is not None
    found = family.log_ratios(theta, x)
    torch.testing.assert_close(found, flipped_log_ratios(family.log_unnormalised, theta, x), **EXACT)
    expected = family.log_unnormalised(theta, x) - family.log_unnormalised(theta, flip(x, 2))
    torch.testing.assert_close(found[..., 2], expected, **EXACT)
    assert (found[..., 1] - expected).abs().max() > 0.1  # control: another bit
    some = family.log_ratios(theta, x, torch.tensor([2, 0]))
    torch.testing.assert_close(some, found[..., [2, 0]], **EXACT)
    own = torch.arange(16)[:, None] % 4  # each case its own bit
    expected = found.gather(-1, own.expand(2, 16, 1))
    torch.testing.assert_close(family.log_ratios(theta, x, own), expected, **EXACT)


def test_the_hidden_side_has_the_same_partition_function() -> None:
    theta = random_rbm()
    states, hidden = enumerate_bits(4)[None], enumerate_bits(3)[None]
    log_z = rbms.log_unnormalised(theta, states).logsumexp(-1)
    assert RBM.hidden is not None
    assert RBM.hidden.units(theta) == 3
    torch.testing.assert_close(RBM.hidden.log_unnormalised(theta, hidden).logsumexp(-1), log_z, **EXACT)
    joint = torch.einsum("cd,rdh,kh->rck", states[0], theta.weight, hidden[0])
    joint = joint + (states @ theta.visible_bias[..., None]) + (hidden @ theta.hidden_bias[..., None]).mT
    torch.testing.assert_close(joint.logsumexp((1, 2)), log_z, **EXACT)


@pytest.mark.parametrize("name", [name for name, (family, _) in FAMILIES.items() if family.hidden])
def test_the_first_uniforms_of_a_step_choose_the_hidden_units_and_the_rest_x_given_them(name: str) -> None:
    (family, theta), cases = FAMILIES[name], 1000
    assert family.hidden is not None
    assert family.gibbs is not None
    units = family.hidden.units(theta)
    free = ((torch.arange(cases).double() + 0.5) / cases)[:, None].expand(-1, 4)
    zeros = torch.zeros(1, cases, 4, dtype=torch.float64)
    for h in enumerate_bits(units):
        u = torch.cat([(2 - 3 * h).expand(cases, -1), free], -1)[None]  # -1 is on, 2 off
        found = family.gibbs(theta, zeros, u)
        assert torch.equal(found, family.gibbs(theta, zeros + 1, u))
        expected = MEAN_GIVEN_HIDDEN[name](theta, h[None, None])[:, 0]
        torch.testing.assert_close(found.mean(1), expected, rtol=0, atol=1 / cases)
    inside = torch.cat([torch.full((cases, units), 0.5), free], -1)[None]  # control: x has a say in h
    assert not torch.equal(family.gibbs(theta, zeros, inside), family.gibbs(theta, zeros + 1, inside))


def test_a_gibbs_step_leaves_the_model_as_it_is() -> None:
    """Summed over h: sum_x p(x) p(h | x) p(x' | h) = p(x'), and the sampler draws by exactly those conditionals."""
    theta, states, hidden = random_rbm(), enumerate_bits(4), enumerate_bits(3)
    p = probabilities(RBM, theta, states)
    up = torch.sigmoid(rbms.hidden_logits(theta, states[None]))
    down = torch.sigmoid(rbms.visible_logits(theta, hidden[None]))
    of_h = (hidden * up[:, :, None] + (1 - hidden) * (1 - up[:, :, None])).prod(-1)
    of_x = (states * down[:, :, None] + (1 - states) * (1 - down[:, :, None])).prod(-1)
    torch.testing.assert_close(torch.einsum("rc,rck,rkd->rd", p, of_h, of_x), p, **EXACT)
    x = states[None, 5:6]
    for sign in (1, -1):  # uniforms just beside the probabilities turn every bit on, or off
        h = torch.full((2, 1, 3), (1 + sign) / 2, dtype=torch.float64)
        on = torch.sigmoid(rbms.visible_logits(theta, h))
        u = torch.cat([up[:, 5:6] - sign * 1e-9, on - sign * 1e-9], -1)
        assert RBM.gibbs is not None
        assert bool((RBM.gibbs(theta, x, u) == (1 + sign) / 2).all())


def test_gibbs_from_the_energy_alone_draws_each_bit_given_the_others() -> None:
    theta, states = random_rbm(), enumerate_bits(4)
    p = probabilities(MINE, theta, states).view(2, 2, 2, 2, 2)  # [R, x_4, x_3, x_2, x_1]
    assert MINE.gibbs is not None
    first = p[:, 0, 1, 1, 1] / p[:, 0, 1, 1].sum(-1)  # x_1 given x_2 = x_3 = 1, x_4 = 0
    u = torch.full((2, 1, 4), 0.5, dtype=torch.float64)
    start = torch.tensor([0.0, 1, 1, 0]).double()[None, None]
    for shift, bit in ((-1e-9, 1), (1e-9, 0)):
        u[:, 0, 0] = first + shift
        found = MINE.gibbs(theta, start, u)
        assert found[..., 0].tolist() == [[bit], [bit]]
        second = p[:, 0, 1, 1, bit] / p[:, 0, 1, :, bit].sum(-1)  # x_2 hears of the new x_1
        torch.testing.assert_close(found[:, 0, 1], (second > 0.5).double())


def test_the_base_is_independent_bits_and_a_step_of_it_forgets_where_it_began() -> None:
    theta, mean = random_rbm(), torch.tensor([0.1, 0.5, 1.0, 0.0]).double()
    assert RBM.base is not None
    assert RBM.gibbs is not None
    for given in (mean, None):
        begin, log_z = RBM.base(theta, given)
        states = enumerate_bits(4)[None]
        torch.testing.assert_close(RBM.log_unnormalised(begin, states).logsumexp(-1), log_z, **EXACT)
        u = torch.rand(1, 1, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        ends = RBM.gibbs(begin, states, u.expand(1, 16, 7))
        assert bool((ends == ends[:, :1]).all())
    assert not torch.allclose(RBM.base(theta, mean).log_z, RBM.base(theta, None).log_z)  # control
    half = between(RBM.base(theta, mean).theta, theta, 0.5)
    torch.testing.assert_close(half.weight, theta.weight / 2, **EXACT)


def test_a_fresh_machine_is_nearly_its_mean() -> None:
    mean = torch.tensor([0.2, 0.7]).double()
    fresh = rbm(3, (0, 1), mean=mean, dtype=torch.float64)
    p = probabilities(RBM, fresh, enumerate_bits(2))
    assert (p @ enumerate_bits(2) - (0.95 * mean + 0.025)).abs().max() < 0.02
    assert not torch.equal(fresh.weight[0], fresh.weight[1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: check_finite(random_rbm()._replace(hidden_bias=torch.tensor([[0.0, torch.inf]]))),
            r"hidden_bias holds inf at \[0, 1\]",
        ),
        (lambda: rbm(0, (0,), mean=torch.zeros(2)), "hidden=0"),
        (lambda: rbm(1, (), mean=torch.zeros(2)), "seeds"),
        (lambda: rbm(1, (0,), mean=torch.tensor([1.5])), "1.5"),
        (lambda: energy_family("mine", rbms.log_unnormalised, visible=1, support="words"), "words"),
    ],
)
def test_bad_input_is_refused_by_name(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
