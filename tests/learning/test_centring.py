"""Centred gradients: those of the centred parametrisation, by autograd through every state."""

from __future__ import annotations

import torch
from torch import Tensor

from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient
from nvil_repro.learning.centring import Offsets, from_centred, move, to_centred
from nvil_repro.models.rbm import RBM, Rbm
from tests.models.test_unnormalised import EXACT, normals, random_rbm

X = enumerate_bits(4)[[1, 6, 6, 13]]
OFFSETS = Offsets(torch.sigmoid(normals(2, 4, seed=7)), torch.sigmoid(normals(2, 3, seed=8)))


def centred_log_likelihood(theta: Rbm) -> Tensor:
    """Mean log p(x) of a machine of parameters W, b', c', every h and every x of its own energy summed: [R]."""
    mu, lam = OFFSETS
    states, hidden = enumerate_bits(4), enumerate_bits(3)
    x, h = states - mu[:, None], hidden - lam[:, None]
    log_joint = torch.einsum("rcd,rdh,rkh->rck", x, theta.weight, h)
    log_joint = log_joint + (x @ theta.visible_bias[..., None]) + (h @ theta.hidden_bias[..., None]).mT
    log_p = log_joint.logsumexp(-1).log_softmax(-1)
    return log_p[:, [1, 6, 6, 13]].mean(-1)


def test_the_gradient_is_that_of_the_centred_machine() -> None:
    theta = random_rbm()
    mu, lam = OFFSETS
    b = theta.visible_bias + torch.matmul(theta.weight, lam[..., None])[..., 0]  # b' = b + W lambda
    c = theta.hidden_bias + torch.matmul(mu[:, None], theta.weight)[:, 0]
    leaves = [part.clone().requires_grad_() for part in (theta.weight, b, c)]
    value = centred_log_likelihood(Rbm(*leaves))
    expected = torch.autograd.grad(value.sum(), leaves)
    slopes = exact_gradient(RBM, theta, X)
    for found, wanted in zip(to_centred(slopes, OFFSETS), expected, strict=True):
        torch.testing.assert_close(found, wanted, **EXACT)
    assert (slopes.weight - expected[0]).abs().max() > 1e-2  # control: without centring


def test_a_step_back_is_what_the_centred_step_makes_of_the_ordinary_machine() -> None:
    theta, step, (mu, lam) = random_rbm(), random_rbm()._replace(weight=normals(2, 4, 3, seed=5)), OFFSETS

    def ordinary(weight: Tensor, b: Tensor, c: Tensor) -> Rbm:
        return Rbm(
            weight, b - torch.einsum("rdh,rh->rd", weight, lam), c - torch.einsum("rd,rdh->rh", mu, weight)
        )

    moved = ordinary(*(p + s for p, s in zip(theta, step, strict=True)))
    for found, before, after in zip(from_centred(step, OFFSETS), ordinary(*theta), moved, strict=True):
        torch.testing.assert_close(found, after - before, **EXACT)
    zero = Offsets(*map(torch.zeros_like, OFFSETS))
    assert all(
        map(torch.equal, from_centred(to_centred(step, zero), zero), step)
    )  # offsets of zero change nothing


def test_a_machine_with_a_bit_turned_over_learns_the_same() -> None:
    """Turn every visible bit of data, model and offsets over, and the centred step turns over with them."""
    theta, (mu, lam) = random_rbm(), OFFSETS
    turned = Rbm(-theta.weight, -theta.visible_bias, theta.hidden_bias + theta.weight.sum(1))
    for centred, same in ((True, True), (False, False)):  # control
        steps = []
        for model, x, offset in ((theta, X, mu), (turned, 1 - X, 1 - mu)):
            slopes, offsets = exact_gradient(RBM, model, x), Offsets(offset, lam)
            steps.append(from_centred(to_centred(slopes, offsets), offsets) if centred else slopes)
        agree = torch.allclose(steps[0].weight, -steps[1].weight, rtol=0, atol=1e-10)
        b = torch.allclose(steps[0].visible_bias, -steps[1].visible_bias, rtol=0, atol=1e-10)
        assert (agree and b) == same


def test_offsets_move_towards_the_means_of_the_units() -> None:
    h = torch.sigmoid(normals(2, 4, 3, seed=3))
    found = move(OFFSETS, X[None], h, 0.25)
    torch.testing.assert_close(found.visible, 0.75 * OFFSETS.visible + 0.25 * X.mean(0), **EXACT)
    torch.testing.assert_close(found.hidden, 0.75 * OFFSETS.hidden + 0.25 * h.mean(1), **EXACT)
