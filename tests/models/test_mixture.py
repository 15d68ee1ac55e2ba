"""Mixtures of Bernoullis against sums over components and states."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from nvil_repro.models import mixture as module
from nvil_repro.models.mixture import Mixture, draw, log_joint, log_prob, mean_images, mixture
from tests.oracle import all_states

EXACT = {"rtol": 0, "atol": 1e-12}


def random_mixture(visible: int = 4, components: int = 3, replicas: int = 1, seed: int = 0) -> Mixture:
    """Weights and probabilities drawn; float64."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(replicas, components, generator=generator, dtype=torch.float64).log_softmax(-1)
    return Mixture(
        weight, torch.randn(replicas, components, visible, generator=generator, dtype=torch.float64)
    )


def by_hand(model: Mixture, x: Tensor, r: int) -> Tensor:
    """P(x, k) of one case, a product at a time: [K]."""
    mu = 1 / (1 + torch.exp(-model.logits[r]))
    return model.log_weight[r].exp() * torch.where(x == 1, mu, 1 - mu).prod(-1)


def test_log_prob_is_the_definition() -> None:
    model, (x,) = random_mixture(replicas=2), all_states((4,))
    joint = torch.stack([torch.stack([by_hand(model, case, r) for case in x]) for r in range(2)])
    torch.testing.assert_close(log_joint(model, x).exp(), joint, **EXACT)
    torch.testing.assert_close(log_prob(model, x), joint.sum(-1).log(), **EXACT)


def test_probabilities_of_all_states_sum_to_one() -> None:
    model, (x,) = random_mixture(visible=8, replicas=2), all_states((8,))
    ones = torch.ones(2, dtype=torch.float64)
    torch.testing.assert_close(log_prob(model, x).exp().sum(-1), ones, **EXACT)
    heavy = model._replace(log_weight=model.log_weight + 0.1)  # control
    assert (log_prob(heavy, x).exp().sum(-1) - 1).min() > 0.1


def test_a_component_of_no_weight_is_no_component() -> None:
    model, (x,) = random_mixture(), all_states((4,))
    without = model._replace(log_weight=torch.tensor([[0.4, 0.6, 0.0]], dtype=torch.float64).log())
    pair = Mixture(without.log_weight[:, :2], model.logits[:, :2])
    torch.testing.assert_close(log_prob(without, x), log_prob(pair, x), **EXACT)
    u = torch.rand(1, 500, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u[0, 0, 0] = 1 - 2**-53  # the largest there is
    assert torch.equal(draw(without, u)[0], draw(pair, u)[0])
    assert not torch.equal(draw(model, u)[0], draw(pair, u)[0])  # control


def test_the_sampler_s_boxes_of_uniforms_are_the_joint_probabilities() -> None:
    """Component k and bits x come of a box of volume P(x, k)."""
    model, (x,) = random_mixture(visible=3), all_states((3,))
    edges = model.log_weight[0].exp().cumsum(-1)
    for k in range(3):
        mu = torch.sigmoid(model.logits[0, k])
        low = torch.cat(
            [(edges[k] - model.log_weight[0, k].exp()).expand(8, 1), torch.where(x == 1, 0 * mu, mu)], -1
        )
        high = torch.cat([edges[k].expand(8, 1), torch.where(x == 1, mu, 1 + 0 * mu)], -1)
        volume = (high - low).prod(-1)
        torch.testing.assert_close(volume, log_joint(model, x)[0, :, k].exp(), **EXACT)
        for share in itertools.product((1e-9, 1 - 1e-9), repeat=4):
            bits, means = draw(model, (low + torch.tensor(share, dtype=torch.float64) * (high - low))[None])
            assert torch.equal(bits[0], x)
            torch.testing.assert_close(means[0], mu.expand(8, 3), **EXACT)
        assert not torch.equal(draw(model, high[None] + 1e-9)[0][0], x)  # control: the next box


def test_cases_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x,) = random_mixture(replicas=2), all_states((4,))
    whole = log_prob(model, x)
    monkeypatch.setattr(module, "CASES", 5)
    torch.testing.assert_close(log_prob(model, x.to(torch.uint8)), whole, **EXACT)


def test_fresh_components_lie_between_the_mean_and_a_case_of_their_own() -> None:
    x = torch.tensor([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=torch.uint8)
    model = mixture(4, [0, 1], x, dtype=torch.float64)
    cases = torch.sigmoid(model.logits) * 2 - (x.double().mean(0) * 0.98 + 0.01)
    for r in range(2):
        found = sorted(cases[r].round().tolist())
        assert found == sorted(x.double().tolist())
    assert not torch.equal(cases[0], cases[1])
    assert torch.equal(model.log_weight.exp(), torch.full((2, 4), 0.25, dtype=torch.float64))


def test_what_cannot_be_is_refused() -> None:
    x = torch.zeros(3, 2, dtype=torch.uint8)
    for components, seeds in ((4, [0]), (0, [0]), (2, [])):
        with pytest.raises(ValueError, match="1 to 3 components"):
            mixture(components, seeds, x)
    with pytest.raises(ValueError, match=r"x must be \[cases, 4\]"):
        log_prob(random_mixture(), x)
    with pytest.raises(ValueError, match="zeros and ones only"):
        log_prob(random_mixture(), torch.full((1, 4), 2))


def test_pictures_are_components_means() -> None:
    model = random_mixture()
    images = mean_images(model, 40, seed=0)[0]
    mu = torch.sigmoid(model.logits[0])
    assert {int((mu - image).abs().sum(-1).argmin()) for image in images} == {0, 1, 2}
    assert (images[:, None] - mu).abs().sum(-1).amin(-1).max() == 0
