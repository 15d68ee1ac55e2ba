"""Algorithm 1 on its own: signals, running state, normalisation, and exact unbiasedness by enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch

from nvil_repro.learning import closed_form, nvil
from nvil_repro.learning.closed_form import nvil_gradients
from nvil_repro.learning.nvil import ALPHA, VARIANTS, Ingredients, SignalState
from nvil_repro.models import belief_net
from nvil_repro.models.belief_net import Architecture
from tests import oracle

SWITCHES = [Ingredients(*row) for row in itertools.product([True, False], repeat=4)]
NETS = [(3,), (3, 2), (2, 2, 1)]
ARCHITECTURES = [Architecture(*row) for row in itertools.product([False, True], repeat=3)][1:]
FROZEN = 1.0


def state_of(layers: int, scale: float = 3.0) -> SignalState:
    """Arbitrary c, and v on both sides of one."""
    mean = torch.linspace(-2.0, 1.0, layers, dtype=torch.float64)
    return SignalState(mean[:, None], torch.linspace(scale**2, 0.3, layers, dtype=torch.float64)[:, None])


def expected(net, x, state, ingredients, alpha=FROZEN):
    """E over the bits of all cases of (inference, model) gradients; joint states take the replicas' axis."""

    def estimator(x, h):
        gradients, _ = nvil_gradients(net, x.expand(len(h[0]), -1, -1), h, state, ingredients, alpha)
        prior = [p for p in (gradients.prior, gradients.prior_lateral) if p.numel()]
        return [*oracle.trained(gradients.recognition), *prior, *oracle.trained(gradients.generative)]

    values = oracle.expectation(net, x, estimator)
    first = len(oracle.trained(net.recognition))
    return values[:first], values[first:]


def assert_unbiased(layers, ingredients, cases, alpha=FROZEN, shrink=1.0, net=None):
    net = net or oracle.random_net(layers)
    x, state = oracle.random_bits(cases, 4), state_of(len(layers))
    inference, model = expected(net, x, state, ingredients, alpha)
    normalised = ingredients.variance_normalisation
    scale = state.variance.flatten().sqrt().clamp(min=1) if normalised else torch.ones(len(layers))
    each = len(inference) // len(layers)
    for i, (got, true) in enumerate(zip(inference, oracle.inference_gradient(net, x), strict=True)):
        torch.testing.assert_close(got, true * shrink / scale[i // each], rtol=0, atol=1e-11)
    for got, true in zip(model, oracle.model_gradient(net, x), strict=True):
        torch.testing.assert_close(got, true, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ingredients", SWITCHES, ids=lambda row: "".join("01"[s] for s in row))
@pytest.mark.parametrize("layers", NETS)
def test_unbiased_for_every_switch(layers, ingredients):
    assert_unbiased(layers, ingredients, cases=1)


@pytest.mark.parametrize("ingredients", SWITCHES, ids=lambda row: "".join("01"[s] for s in row))
@pytest.mark.parametrize("layers", [(3,), (2, 1)])
def test_unbiased_over_two_cases_jointly(layers, ingredients):
    assert_unbiased(layers, ingredients, cases=2)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
@pytest.mark.parametrize("layers", [(3,), (2, 2)])
def test_unbiased_with_autoregressive_layers(layers, architecture):
    """The model of an fDARN or DARN, and autoregressive inference networks, need no change to the estimator."""
    assert_unbiased(layers, Ingredients(), cases=2, net=oracle.random_net(layers, architecture=architecture))


def test_unbiased_whatever_the_baseline():
    """C_psi of layer i may be any function of what layer i sees."""
    net = oracle.random_net((2, 2))
    wild = tuple(b._replace(output=b.output._replace(weight=50 * b.output.weight)) for b in net.baselines)
    assert_unbiased((2, 2), Ingredients(), cases=1, net=net._replace(baselines=wild))


@pytest.mark.parametrize("cases", [1, 2, 3])
@pytest.mark.parametrize("idb", [True, False])
@pytest.mark.parametrize("layers", [(2,), (1, 1)])
def test_updating_before_use_shrinks_by_exactly_one_minus_alpha_over_b(layers, idb, cases):
    assert_unbiased(layers, Ingredients(True, idb, False, True), cases, ALPHA, shrink=1 - (1 - ALPHA) / cases)


class TestControls:
    """The checks above notice the mistakes they are there for."""

    def test_state_used_before_it_is_updated_does_not_shrink(self, monkeypatch):
        def use_then_update(p_terms, q_terms, baselines, state, ingredients, alpha):
            raw = nvil.learning_signals(p_terms, q_terms, ingredients.local_signals)
            reduced = raw - baselines * float(ingredients.input_baseline)
            moved = nvil.update_state(state, reduced, alpha)
            return nvil.Signals(raw, nvil.normalise(reduced, state, ingredients), moved)

        monkeypatch.setattr(closed_form, "signals_of", use_then_update)
        with pytest.raises(AssertionError):
            assert_unbiased((2,), Ingredients(True, True, False, True), 2, ALPHA, shrink=1 - (1 - ALPHA) / 2)

    def test_local_signal_off_by_one_layer(self, monkeypatch):
        right = nvil.learning_signals
        monkeypatch.setattr(nvil, "learning_signals", lambda *terms: right(*terms).roll(1, 0))
        with pytest.raises(AssertionError):
            assert_unbiased((3, 2), VARIANTS["none"], cases=1)

    def test_inputs_not_centred(self, monkeypatch):
        monkeypatch.setattr(belief_net, "inputs", lambda net, x, h: [x, *h[: len(net.recognition) - 1]])
        with pytest.raises(AssertionError):
            assert_unbiased((3,), VARIANTS["none"], cases=1)

    def test_lateral_weights_read_the_wrong_way_round(self, monkeypatch):
        net = oracle.random_net((3,), architecture=oracle.FULL)
        monkeypatch.setattr(closed_form, "strictly_upper", lambda lateral: lateral.tril(-1))
        with pytest.raises(AssertionError):
            assert_unbiased((3,), Ingredients(), cases=1, net=net)

    def test_baseline_that_sees_its_own_sample(self, monkeypatch):
        net = oracle.random_net((4,))

        def peeking(p_terms, q_terms, baselines, state, ingredients, alpha):
            return nvil.signals_of(p_terms, q_terms, baselines + q_terms, state, ingredients, alpha)

        monkeypatch.setattr(closed_form, "signals_of", peeking)
        with pytest.raises(AssertionError):
            assert_unbiased(net.layers, Ingredients(), cases=1)


@pytest.mark.parametrize("layers", [(3,), (3, 2), (4, 3, 2)])
def test_local_signals_are_equation_12(layers):
    net, x = oracle.random_net(layers), oracle.random_bits(5, 4)
    h = [oracle.random_bits(5, size, seed=7 + i) for i, size in enumerate(layers)]
    p, q, spelled = oracle.log_p(net, x, h), oracle.log_q(net, x, h), oracle.signals(net, x, h)
    torch.testing.assert_close(nvil.learning_signals(p, q), spelled, rtol=0, atol=1e-12)
    everywhere = nvil.learning_signals(p, q, local=False)
    torch.testing.assert_close(everywhere, spelled[:1].expand_as(spelled), rtol=0, atol=1e-12)
    if len(layers) > 1:
        assert (nvil.learning_signals(p, q) - everywhere).abs().max() > 0.1


def test_running_state_moves_by_the_population_moments():
    signals = torch.tensor([[1.0, 2.0, 6.0]], dtype=torch.float64)
    state = nvil.update_state(SignalState(torch.tensor([10.0]), torch.tensor([5.0])), signals)
    torch.testing.assert_close(state.mean, torch.tensor([0.8 * 10 + 0.2 * 3]).double(), check_dtype=False)
    torch.testing.assert_close(
        state.variance, torch.tensor([0.8 * 5 + 0.2 * 14 / 3]).double(), check_dtype=False
    )


def test_normalisation_never_enlarges():
    state = SignalState(torch.tensor([1.0, 1.0]), torch.tensor([0.01, 4.0]))
    used = nvil.normalise(torch.tensor([[3.0], [3.0]]), state, Ingredients())
    assert used.tolist() == [[2.0], [1.0]]


def test_rows_of_switches_equal_single_switches():
    rows = nvil.stack_ingredients(list(VARIANTS))
    generator = torch.Generator().manual_seed(0)
    p, q, c = (torch.randn(n, 5, 6, generator=generator, dtype=torch.float64) for n in (3, 2, 2))
    state = SignalState(torch.randn(2, 5, generator=generator).double(), torch.full((2, 5), 9.0).double())
    together = nvil.signals_of(p, q, c, state, rows)
    for r, variant in enumerate(VARIANTS.values()):
        column = SignalState(state.mean[:, r], state.variance[:, r])
        alone = nvil.signals_of(p[:, r], q[:, r], c[:, r], column, variant)
        assert torch.equal(together.used[:, r], alone.used)
        assert torch.equal(together.state.variance[:, r], alone.state.variance)


def test_unknown_variant_is_named():
    with pytest.raises(ValueError, match=r"'ful'; choose from full, baseline_vn"):
        nvil.stack_ingredients(["ful"])
