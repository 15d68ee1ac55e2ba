"""log Z and what follows from it, by either side, against the sum over all of x and h at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation import exact_partition
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import (
    exact_gradient,
    exact_log_likelihood,
    exact_log_partition,
    state_probabilities,
)
from nvil_repro.models import rbm as rbms
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import REALS, energy_family

EXACT = {"rtol": 0, "atol": 1e-10}
X = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0]], dtype=torch.uint8)


def random_rbm(visible: int, hidden: int, replicas: int = 2) -> Rbm:
    generator = torch.Generator().manual_seed(visible)
    shapes = (replicas, visible, hidden), (replicas, visible), (replicas, hidden)
    return Rbm(*(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes))


def joint(theta: Rbm) -> Tensor:
    """-E(x, h) of all states: [R, 2^D, 2^H]."""
    x, h = (enumerate_bits(bias.shape[-1]) for bias in (theta.visible_bias, theta.hidden_bias))
    both = torch.einsum("cd,rdh,kh->rck", x, theta.weight, h)
    return both + (x @ theta.visible_bias[..., None]) + (h @ theta.hidden_bias[..., None]).mT


@pytest.mark.parametrize("chunk", [3, 256])
@pytest.mark.parametrize(("hidden", "side"), [(3, "hidden"), (6, "visible")])
def test_either_side_gives_log_z(hidden: int, side: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_partition, "CHUNK", chunk)
    theta = random_rbm(4, hidden)
    assert exact_partition._enumerable(exact_partition._sides(RBM, theta)).name == side
    log_z = joint(theta).logsumexp((1, 2))
    torch.testing.assert_close(exact_log_partition(RBM, theta), log_z, **EXACT)
    other = theta._replace(hidden_bias=theta.hidden_bias + 0.01)  # control
    assert (exact_log_partition(RBM, other) - log_z).abs().min() > 1e-4
    expected = joint(theta).logsumexp(2)[:, [6, 7, 6]] - log_z[:, None]
    torch.testing.assert_close(exact_log_likelihood(RBM, theta, X), expected, **EXACT)


def test_without_weights_log_z_is_known_to_twelve_places() -> None:
    for dtype in (torch.float32, torch.float64):
        shapes = (1, 784, 14), (1, 784), (1, 14)
        theta = Rbm(*(torch.zeros(shape, dtype=dtype) for shape in shapes))
        assert abs(exact_log_partition(RBM, theta).item() - 798 * math.log(2)) < 1e-12


@pytest.mark.parametrize("chunk", [2, 256])
@pytest.mark.parametrize("hidden", [3, 6])
def test_the_gradient_is_that_of_the_exact_likelihood(
    hidden: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_partition, "CHUNK", chunk)
    theta = random_rbm(4, hidden)
    leaves = [part.clone().requires_grad_() for part in theta]
    terms = joint(Rbm(*leaves))
    mean = (terms.logsumexp(2)[:, [6, 7, 6]] - terms.logsumexp((1, 2))[:, None]).mean(-1)
    expected = torch.autograd.grad(mean.sum(), leaves)
    found = exact_gradient(RBM, theta, X)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    positive = RBM.gradient(theta, X.double()[None], torch.full((1, 3), 1 / 3).double())
    assert (positive.weight - expected[0]).abs().max() > 0.1  # control: without the negative phase


def test_probabilities_are_of_the_visible_states() -> None:
    theta = random_rbm(4, 3)
    p = joint(theta).logsumexp(2).softmax(-1)
    torch.testing.assert_close(state_probabilities(RBM, theta), p, **EXACT)
    assert not torch.allclose(state_probabilities(RBM, theta), p.flip(-1))  # control: another order


def test_a_replica_has_its_numbers_to_itself() -> None:
    theta = random_rbm(9, 7, replicas=3)
    one = Rbm(*(part[1:2] for part in theta))
    assert torch.equal(exact_log_partition(RBM, theta)[1:2], exact_log_partition(RBM, one))


SINGLE = Rbm(*(part.float() for part in random_rbm(4, 3)))
BROKEN = SINGLE._replace(visible_bias=SINGLE.visible_bias / torch.tensor([1.0, 0.0, 1.0, 1.0]))
LARGE = Rbm(torch.zeros(1, 784, 500), torch.zeros(1, 784), torch.zeros(1, 500))
ENERGY = energy_family("mine", rbms.log_unnormalised, visible=4, support=REALS)


def test_single_precision_stays_so_in_the_gradient_alone() -> None:
    assert exact_log_partition(RBM, SINGLE).dtype == torch.float64
    assert exact_gradient(RBM, SINGLE, X).weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: exact_log_partition(RBM, LARGE),
            r"784 visible units and 500 hidden units .* use evaluation",
        ),
        (lambda: state_probabilities(RBM, LARGE), "784 visible units have"),
        (lambda: exact_log_partition(RBM, BROKEN), r"visible_bias holds -?inf at \[0, 1\]"),
        (lambda: exact_log_likelihood(RBM, SINGLE, X * 2), "zeros and ones only, got 2"),
        (lambda: exact_log_likelihood(RBM, SINGLE, X[:, :3]), "expected|must be"),
        (lambda: exact_log_partition(ENERGY, SINGLE), "mine has real visible units and no hidden ones"),
        (lambda: state_probabilities(ENERGY, SINGLE), "only bits have states"),
    ],
)
def test_what_has_no_exact_answer_is_refused_by_name(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
