"""DocNADE's gradient against autograd, and its expectation over orders and positions by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from nvil_repro.data.sequences import Sequences
from nvil_repro.learning.docnade import Conditionals, choose, conditionals, gradient
from nvil_repro.models import docnade as module
from nvil_repro.models.docnade import DocNade
from tests.models.test_docnade import by_hand, random_docnade, together

EXACT = {"rtol": 0, "atol": 1e-10}


def one(model: DocNade) -> DocNade:
    return DocNade(*(part[0] for part in model))


def autograd(model: DocNade, objective: Tensor) -> DocNade:
    return DocNade(*(part[0] for part in torch.autograd.grad(objective, model)))


def free(model: DocNade) -> DocNade:
    return DocNade(*(part.clone().requires_grad_() for part in model))


def near(found: DocNade, expected: DocNade) -> bool:
    return all(torch.allclose(a, b, **EXACT) for a, b in zip(found, expected, strict=True))


def test_the_gradient_is_autograd_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the remaining words' mean log-probabilities, each by hand, with any weights."""
    documents = [[0, 3, 3, 1], [2], [4, 0, 4]]
    model, read = free(random_docnade(5)), together(documents)
    rows = [(0, 0), (0, 1), (0, 3), (1, 0), (2, 1), (2, 1)]  # of a document, so many words read
    weights = [1.0, 2.5, 0.5, 1.0, 3.0, 1.0]
    expected = []
    for document, stop in rows:
        words = documents[document]
        nexts = [by_hand(model, [*words[:stop], word]) for word in words[stop:]]
        expected.append(sum(nexts) / len(nexts) - by_hand(model, words[:stop]))
    start = read.starts[[document for document, _ in rows]]
    stop = start + [stop for _, stop in rows]
    asked = Conditionals(start, stop, read.starts[[d + 1 for d, _ in rows]], np.array(weights))
    true = autograd(model, sum(weight * each for weight, each in zip(weights, expected, strict=True)))
    for elements in (1 << 20, 10):  # all at once, two rows at a time
        monkeypatch.setattr(module, "ELEMENTS", elements)
        means, slopes = gradient(one(model), read.words, asked)
        torch.testing.assert_close(means, torch.stack(expected).detach(), **EXACT)
        assert near(slopes, true)
    other = gradient(one(model), read.words, asked._replace(stop=stop - (stop > start)))[1]
    assert not near(other, true)  # control


@pytest.mark.parametrize("positions", [1, 2, 3, None])
def test_on_average_over_orders_and_positions_it_is_the_likelihood_s(positions: int | None) -> None:
    """All orders of a document; all positions, each from the middle of its sixths of the uniforms."""
    words = [0, 1, 1]
    model = free(random_docnade())
    orders = [list(order) for order in itertools.permutations(words)]
    expected = sum(by_hand(model, order) for order in orders) / len(orders)
    true = autograd(model, expected)
    found, total, cases = [], 0.0, 0
    for order in orders:
        read = together([order])
        chosen = choose(read.lengths, positions)
        for sixths in itertools.product(range(6), repeat=int(chosen[0])):
            rows = conditionals(read, chosen, (np.array(sixths) + 0.5) / 6)
            means, slopes = gradient(one(model), read.words, rows)
            found.append(slopes)
            total += float(means @ torch.from_numpy(rows.weight))
            cases += 1
    mean = DocNade(*(torch.stack(parts).mean(0) for parts in zip(*found, strict=True)))
    assert total / cases == pytest.approx(expected.item(), abs=1e-12)
    assert near(mean, true)
    if positions == 1:
        assert not near(found[0], true)  # control: a single one is not


def test_all_conditionals_are_each_chosen_once() -> None:
    read = together([[0, 0, 0, 0], [1]])
    rows = conditionals(read, choose(read.lengths, None), np.random.default_rng(0).random(5))
    assert rows.stop.tolist() == [0, 1, 2, 3, 4]
    assert rows.start.tolist() == [0, 0, 0, 0, 4]
    assert rows.weight.tolist() == [1] * 5


def test_no_position_lies_beyond_its_document() -> None:
    read = Sequences(np.array([0, 3, 10]), np.zeros(10, np.int64))
    for u in (0.0, np.nextafter(1, 0)):
        rows = conditionals(read, choose(read.lengths, 2), np.full(4, u))
        assert ((rows.start <= rows.stop) & (rows.stop < rows.end)).all()
