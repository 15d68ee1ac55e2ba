"""NADE against enumeration: probabilities sum to one, the sampler's boxes of uniforms have them for volumes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from nvil_repro.models import nade as module
from nvil_repro.models.nade import Nade, draw, log_prob, logits, mean_images, nade
from tests.oracle import all_states

EXACT = {"rtol": 0, "atol": 1e-12}


def random_nade(visible: int = 5, hidden: int = 4, replicas: int = 1, seed: int = 0) -> Nade:
    """Every parameter drawn, none of them small; float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((visible, hidden), (hidden,), (visible, hidden), (visible,))
    return Nade(*(torch.randn(replicas, *s, generator=generator, dtype=torch.float64) for s in shapes))


def by_hand(model: Nade, x: Tensor, r: int) -> Tensor:
    """log P(x) of one case, probabilities spelled out unit by unit."""
    total = torch.zeros((), dtype=torch.float64)
    for d in range(len(x)):
        inputs = model.hidden_bias[r] + sum(x[k] * model.weight[r, k] for k in range(d))
        h = 1 / (1 + torch.exp(-inputs))
        on = 1 / (1 + torch.exp(-model.bias[r, d] - (model.output[r, d] * h).sum()))
        total += torch.log(on if x[d] else 1 - on)
    return total


def test_log_prob_is_the_definition() -> None:
    model, (x,) = random_nade(replicas=2), all_states((5,))
    expected = torch.stack([torch.stack([by_hand(model, case, r) for case in x]) for r in range(2)])
    torch.testing.assert_close(log_prob(model, x), expected, **EXACT)
    flipped = log_prob(model, x.flip(-1))
    assert (flipped - expected).abs().max() > 0.1  # control: the order of the units matters


def test_probabilities_of_all_states_sum_to_one() -> None:
    model, (x,) = random_nade(visible=8, replicas=3), all_states((8,))
    torch.testing.assert_close(log_prob(model, x).exp().sum(-1), torch.ones(3, dtype=torch.float64), **EXACT)
    seeing_itself = logits(model, x.roll(-1, -1))  # control: unit d is given x_d in place of x_{d-1}
    assert (module.bernoulli.log_prob(seeing_itself, x).exp().sum(-1) - 1).abs().min() > 1e-3


def test_a_unit_hears_of_the_units_before_it_alone() -> None:
    model, (x,) = random_nade(), all_states((5,))
    for d in range(5):
        other = x.clone()
        other[:, d] = 1 - other[:, d]
        changed = (logits(model, other) - logits(model, x)).abs().amax((0, 1)) > 0
        assert changed.tolist() == [k > d for k in range(5)]


def test_the_sampler_s_boxes_of_uniforms_are_the_states_probabilities() -> None:
    """x comes of the uniforms u_d < p_d where x_d is on and u_d >= p_d where it is off: a box of volume P(x)."""
    model, (x,) = random_nade(visible=4), all_states((4,))
    p = torch.sigmoid(logits(model, x))  # [1, C, D]
    ones = torch.ones_like(p)
    low, high = torch.where(x == 1, 0 * p, p), torch.where(x == 1, p, ones)
    volume = (high - low).prod(-1)
    torch.testing.assert_close(volume, log_prob(model, x).exp(), **EXACT)
    last = torch.nextafter(high, 0 * ones)
    for corner in itertools.product((False, True), repeat=4):
        uniforms = torch.where(torch.tensor(corner), last, low)
        bits, probabilities = draw(model, uniforms)
        assert torch.equal(bits[0], x)
        torch.testing.assert_close(probabilities, p, **EXACT)
    beyond = torch.where(torch.tensor([True, False, False, False]), high, low)  # control: the next box
    wrong = draw(model, beyond.clamp_max(1 - 1e-9))[0][0]
    assert torch.equal(wrong[:, 0], torch.zeros(16, dtype=torch.float64))


def test_a_replica_s_numbers_are_its_own_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x,) = random_nade(replicas=2), all_states((5,))
    whole = log_prob(model, x)
    monkeypatch.setattr(module, "CASES", 7)
    seen = []
    plain = module.logits
    monkeypatch.setattr(module, "logits", lambda model, x: (seen.append(len(x)), plain(model, x))[1])
    torch.testing.assert_close(log_prob(model, x.to(torch.uint8)), whole, **EXACT)
    assert seen == [7, 7, 7, 7, 4]
    one = Nade(*(part[1:] for part in model))
    torch.testing.assert_close(log_prob(one, x), whole[1:], **EXACT)


def test_a_fresh_model_starts_near_the_training_mean() -> None:
    mean = torch.tensor([0.0, 0.2, 0.9, 1.0])
    model = nade(6, [3, 1, 3], train_mean=mean, dtype=torch.float64)
    assert [tuple(part.shape) for part in model] == [(3, 4, 6), (3, 6), (3, 4, 6), (3, 4)]
    assert torch.equal(model.weight[0], model.weight[2])
    assert not torch.equal(model.weight[0], model.weight[1])
    images = mean_images(model, 50, seed=0)
    assert images.shape == (3, 50, 4)
    torch.testing.assert_close(images.mean((0, 1)).float(), mean * 0.98 + 0.01, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("hidden", "seeds", "mean", "message"),
    [
        (0, [0], torch.zeros(3), "hidden=0"),
        (2, [], torch.zeros(3), r"seeds=\[\]"),
        (2, [0], torch.zeros(3, 1), r"shape \(3, 1\)"),
        (2, [0], torch.tensor([0.5, 1.5]), "entries in"),
    ],
)
def test_what_cannot_be_is_refused(hidden: int, seeds: list[int], mean: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nade(hidden, seeds, train_mean=mean)


def test_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x must be \[cases, 5\]"):
        log_prob(random_nade(), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="zeros and ones only"):
        log_prob(random_nade(), torch.full((3, 5), 0.5))
