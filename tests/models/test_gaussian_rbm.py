"""The Gaussian-Bernoulli RBM against its energy, and its integrals over x against the trapezoidal rule.

That rule is exact to rounding for smooth functions that vanish with all their slopes at both ends.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient, exact_log_likelihood, exact_log_partition
from nvil_repro.models.gaussian_rbm import (
    GAUSSIAN_RBM,
    GaussianRbm,
    gaussian_rbm,
    gibbs,
    hidden_logits,
    log_unnormalised,
    log_unnormalised_hidden,
    score_and_curvature,
)

EXACT = {"rtol": 0, "atol": 1e-10}


def machine(visible: int, hidden: int = 3, replicas: int = 2) -> GaussianRbm:
    generator = torch.Generator().manual_seed(visible)
    shapes = (replicas, visible, hidden), (replicas, visible), (replicas, hidden), (replicas, visible)
    parts = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return GaussianRbm(*parts[:3], parts[3] / 3)


def energy(theta: GaussianRbm, x: Tensor, h: Tensor) -> Tensor:
    """E(x, h) as the module's first line has it, term by term: [R, X, C]."""
    s = theta.log_sd.exp()
    squares = ((x[None] - theta.visible_bias[:, None]) / s[:, None]).square().sum(-1) / 2
    pairs = torch.einsum("xd,rd,rdk,ck->rxc", x, 1 / s, theta.weight, h)
    return squares[..., None] - (h @ theta.hidden_bias[..., None])[:, None, :, 0] - pairs


def grid(visible: int, step: float = 0.2, reach: float = 24.0) -> tuple[Tensor, float]:
    """Points [N, visible] and the logarithm of the volume each stands for."""
    line = torch.arange(-reach, reach, step, dtype=torch.float64)
    points = torch.cartesian_prod(*[line] * visible).view(-1, visible)
    return points, visible * math.log(step)


@pytest.mark.parametrize("visible", [1, 2])
def test_both_sides_are_the_energy_summed_and_integrated(visible: int) -> None:
    theta, h = machine(visible), enumerate_bits(3)
    x, log_volume = grid(visible)
    joint = -energy(theta, x, h)
    torch.testing.assert_close(log_unnormalised(theta, x[None]), joint.logsumexp(-1), **EXACT)
    torch.testing.assert_close(
        log_unnormalised_hidden(theta, h[None]), joint.logsumexp(1) + log_volume, **EXACT
    )
    log_z = joint.logsumexp((1, 2)) + log_volume
    torch.testing.assert_close(exact_log_partition(GAUSSIAN_RBM, theta), log_z, **EXACT)
    wider = theta._replace(log_sd=theta.log_sd + 0.01)  # control
    assert (exact_log_partition(GAUSSIAN_RBM, wider) - log_z).abs().min() > 1e-4
    p = exact_log_likelihood(GAUSSIAN_RBM, theta, x).exp().sum(-1) * math.exp(log_volume)
    torch.testing.assert_close(p, torch.ones(2).double(), **EXACT)


def test_the_exact_gradient_is_that_of_the_integrated_likelihood() -> None:
    theta, (x, log_volume) = machine(1), grid(1)
    data = torch.tensor([[0.3], [-1.2], [2.0]]).double()
    leaves = [part.clone().requires_grad_() for part in theta]
    log_z = log_unnormalised(GaussianRbm(*leaves), x[None]).logsumexp(-1) + log_volume
    mean = log_unnormalised(GaussianRbm(*leaves), data[None]).mean(-1) - log_z
    expected = torch.autograd.grad(mean.sum(), leaves)
    for a, b in zip(exact_gradient(GAUSSIAN_RBM, theta, data), expected, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    other = exact_gradient(GAUSSIAN_RBM, theta, data + 1)  # control
    assert (other.weight - expected[0]).abs().max() > 1e-2


def test_score_and_curvature_are_the_derivatives_in_x() -> None:
    theta = machine(3)
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64).requires_grad_()
    expected = torch.autograd.grad(log_unnormalised(theta, x).sum(), x, create_graph=True)[0]
    score, curvature = score_and_curvature(theta, x)
    torch.testing.assert_close(score, expected, **EXACT)
    rows = [torch.autograd.grad(expected[..., j].sum(), x, retain_graph=True)[0][..., j] for j in range(3)]
    torch.testing.assert_close(curvature, torch.stack(rows, -1), **EXACT)
    assert (curvature - torch.stack(rows[::-1], -1)).abs().max() > 0.1  # control


def test_a_gibbs_step_draws_h_given_x_and_x_given_h() -> None:
    """Given h, -E is a parabola in x_j, and what h turns its top and width into is where the sample lies."""
    theta, x = machine(2), torch.tensor([[[0.4, -1.0]]]).double()
    on = torch.sigmoid(hidden_logits(theta, x))
    for sign in (1, -1):  # uniforms just beside the probabilities turn every hidden unit on, or off
        h = torch.full((1, 3), (1 + sign) / 2, dtype=torch.float64)
        middle = torch.zeros(1, 2, dtype=torch.float64).requires_grad_()
        slope = torch.autograd.grad(-energy(theta, middle, h)[:, 0, 0].unbind()[0], middle)[0][0]
        top = slope * theta.log_sd[0].exp().square()  # of a parabola of curvature -1 / s^2
        u = torch.cat([on - sign * 1e-9, torch.full((2, 1, 2), 0.5).double()], -1)
        torch.testing.assert_close(gibbs(theta, x, u)[0, 0], top, **EXACT)
        u[..., 3:] = torch.special.ndtr(torch.tensor(1.5).double())
        expected = top + 1.5 * theta.log_sd[0].exp()
        torch.testing.assert_close(gibbs(theta, x, u)[0, 0], expected, **EXACT)
        assert not torch.allclose(gibbs(theta, x, u)[1, 0], expected)  # control: another replica's


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_uniform_gives_an_infinite_sample(dtype: torch.dtype) -> None:
    theta = GaussianRbm(*(part.to(dtype) for part in machine(2)))
    ends = torch.tensor(
        [0.0, 1 - torch.finfo(dtype).eps / 2], dtype=dtype
    )  # the least and the largest there are
    u = torch.cat([torch.full((3,), 0.5, dtype=dtype), ends])[None, None]
    x, middle = torch.zeros(1, 1, 2, dtype=dtype), torch.full_like(u, 0.5)
    far = (gibbs(theta, x, u) - gibbs(theta, x, middle))[:, 0] / theta.log_sd.exp()  # standard deviations
    assert bool(far.isfinite().all())
    assert bool((far[:, 0] < -5).all())
    assert bool((far[:, 1] > 5).all())
    assert torch.special.ndtri(ends)[0] == -math.inf  # control: what 0 would be


def test_the_base_is_normal_around_the_mean_and_a_step_of_it_forgets_where_it_began() -> None:
    theta, mean = machine(2), torch.tensor([0.1, -2.0]).double()
    assert GAUSSIAN_RBM.base is not None
    for given in (mean, None):
        begin, log_z = GAUSSIAN_RBM.base(theta, given)
        torch.testing.assert_close(exact_log_partition(GAUSSIAN_RBM, begin), log_z, **EXACT)
        centre = theta.visible_bias if given is None else given.expand(2, 2)
        u = torch.full((1, 3, 5), 0.5, dtype=torch.float64)
        ends = gibbs(begin, torch.tensor([[-5.0, 0], [0, 7], [1, 1]]).double()[None], u)
        torch.testing.assert_close(ends, centre[:, None].expand(2, 3, 2), **EXACT)
        assert not torch.allclose(gibbs(begin, ends, u + 0.1), ends)  # control


def test_a_fresh_machine_has_the_datas_mean_and_spread() -> None:
    fresh = gaussian_rbm(3, (0, 1), mean=torch.tensor([1.0, -2]), sd=torch.tensor([0.5, 3.0]))
    assert fresh.visible_bias.tolist() == [[1, -2]] * 2
    torch.testing.assert_close(fresh.log_sd[1].exp(), torch.tensor([0.5, 3.0]))
    assert not torch.equal(fresh.weight[0], fresh.weight[1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gaussian_rbm(0, (0,), mean=torch.zeros(2), sd=torch.ones(2)), "hidden=0"),
        (lambda: gaussian_rbm(1, (0,), mean=torch.zeros(2), sd=torch.tensor([1.0, 0.0])), "least .* 0.0"),
        (
            lambda: exact_log_likelihood(GAUSSIAN_RBM, machine(2), torch.tensor([[0.0, torch.inf]])),
            "x must be finite",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
