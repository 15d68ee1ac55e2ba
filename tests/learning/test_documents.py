"""Algorithm 1 on documents: unbiased by enumeration of every state of the units, on counts that are no bits."""

from __future__ import annotations

import itertools

import pytest
import torch

from nvil_repro.learning import closed_form
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import ALPHA, VARIANTS, Ingredients, SignalState
from nvil_repro.models import bernoulli, multinomial
from nvil_repro.models.belief_net import SBN, Architecture
from tests import oracle
from tests.learning.test_nvil import FROZEN, state_of

SWITCHES = [Ingredients(*row) for row in itertools.product([True, False], repeat=4)]
DOCUMENTS = torch.tensor(
    [[3.0, 0.0, 1.0, 2.0], [0.0, 1.0, 0.0, 4.0], [1.0, 1.0, 0.0, 0.0]], dtype=torch.float64
)
KINDS = [SBN, Architecture(prior=True), Architecture(prior=True, inference=True)]


def expected(net, x, state, ingredients, alpha, visible):
    """E over the bits of all documents of (inference, model) gradients; joint states take the replicas' axis."""

    def estimator(x, h):
        many = x.expand(len(h[0]), -1, -1)
        gradients, _ = nvil_gradients(net, many, h, state, ingredients, alpha, visible)
        prior = [p for p in (gradients.prior, gradients.prior_lateral) if p.numel()]
        return [*oracle.trained(gradients.recognition), *prior, *oracle.trained(gradients.generative)]

    values = oracle.expectation(net, x, estimator)
    first = len(oracle.trained(net.recognition))
    return values[:first], values[first:]


def assert_unbiased(
    layers, ingredients, cases, alpha=FROZEN, shrink=1.0, architecture=SBN, visible=multinomial
):
    net = oracle.random_net(layers, architecture=architecture)
    x, state = DOCUMENTS[:cases], state_of(len(layers))
    inference, model = expected(net, x, state, ingredients, alpha, visible)
    normalised = ingredients.variance_normalisation
    scale = state.variance.flatten().sqrt().clamp(min=1) if normalised else torch.ones(len(layers))
    each = len(inference) // len(layers)
    for i, (got, true) in enumerate(
        zip(inference, oracle.inference_gradient(net, x, oracle.words), strict=True)
    ):
        torch.testing.assert_close(got, true * shrink / scale[i // each], rtol=0, atol=1e-10)
    for got, true in zip(model, oracle.model_gradient(net, x, oracle.words), strict=True):
        torch.testing.assert_close(got, true, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ingredients", SWITCHES, ids=lambda row: "".join("01"[s] for s in row))
@pytest.mark.parametrize("layers", [(3,), (2, 1)])
def test_unbiased_for_every_switch(layers, ingredients):
    assert_unbiased(layers, ingredients, cases=2)


@pytest.mark.parametrize("architecture", KINDS, ids=str)
@pytest.mark.parametrize("layers", [(3,), (2, 2)])
def test_unbiased_with_autoregressive_layers(layers, architecture):
    assert_unbiased(layers, Ingredients(), cases=2, architecture=architecture)


@pytest.mark.parametrize("cases", [1, 2, 3])
@pytest.mark.parametrize("idb", [True, False])
@pytest.mark.parametrize("layers", [(2,), (1, 1)])
def test_updating_before_use_shrinks_by_exactly_one_minus_alpha_over_b(layers, idb, cases):
    assert_unbiased(layers, Ingredients(True, idb, False, True), cases, ALPHA, shrink=1 - (1 - ALPHA) / cases)


def test_signals_are_equation_12():
    net = oracle.random_net((3, 2))
    h = [oracle.random_bits(3, size, seed=7 + size) for size in (3, 2)]
    state = SignalState(torch.zeros(2, 1).double(), torch.zeros(2, 1).double())
    _, signals = nvil_gradients(
        net, DOCUMENTS[None], [bits[None] for bits in h], state, VARIANTS["none"], ALPHA, multinomial
    )
    p, q = oracle.log_p(net, DOCUMENTS, h, visible=oracle.words), oracle.log_q(net, DOCUMENTS, h)
    spelled = torch.stack([p.sum(0) - q.sum(0), p[1:].sum(0) - q[1]])
    torch.testing.assert_close(signals.raw[:, 0], spelled, rtol=0, atol=1e-12)


class TestControls:
    """The checks above notice the mistakes they are there for."""

    def test_counts_taken_for_bits(self):
        with pytest.raises(AssertionError):
            assert_unbiased((3,), Ingredients(), cases=1, visible=bernoulli)

    def test_softmax_not_scaled_by_the_length(self, monkeypatch):
        monkeypatch.setattr(multinomial, "error", lambda logits, n: n - logits.softmax(-1))
        with pytest.raises(AssertionError):
            assert_unbiased((3,), Ingredients(), cases=1)

    def test_inputs_not_centred(self, monkeypatch):
        monkeypatch.setattr(closed_form.belief_net, "inputs", lambda net, x, h: [x, *h[:0]])
        with pytest.raises(AssertionError):
            assert_unbiased((3,), VARIANTS["none"], cases=1)
