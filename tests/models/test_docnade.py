"""DocNADE against its definition and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nvil_repro.data.sequences import Sequences
from nvil_repro.models import docnade as module
from nvil_repro.models.docnade import DocNade, docnade, log_prob
from nvil_repro.models.unigram import unigram
from tests.data.test_sequences import COUNTS

EXACT = {"rtol": 0, "atol": 1e-12}


def random_docnade(vocabulary: int = 3, hidden: int = 4, replicas: int = 1, seed: int = 0) -> DocNade:
    """Every parameter drawn, none of them small; float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((vocabulary, hidden), (hidden,), (vocabulary, hidden), (vocabulary,))
    return DocNade(*(torch.randn(replicas, *s, generator=generator, dtype=torch.float64) for s in shapes))


def by_hand(model: DocNade, words: list[int], r: int = 0) -> Tensor:
    """log p of one sequence, word by word; differentiable."""
    total = torch.zeros((), dtype=torch.float64)
    for i, word in enumerate(words):
        inputs = model.hidden_bias[r] + sum(model.weight[r, before] for before in words[:i])
        h = 1 / (1 + torch.exp(-inputs))
        scores = torch.exp(model.bias[r] + (model.output[r] * h).sum(-1))
        total = total + torch.log(scores[word] / scores.sum())
    return total


def together(documents: list[list[int]]) -> Sequences:
    starts = np.cumsum([0, *map(len, documents)])
    return Sequences(starts, np.array(list(itertools.chain(*documents)), np.int64))


def test_log_prob_is_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    model, documents = random_docnade(5, replicas=2), [[0, 4, 4, 1], [2], [3, 0, 3, 3, 1, 2]]
    expected = torch.stack([torch.stack([by_hand(model, each, r) for each in documents]) for r in range(2)])
    torch.testing.assert_close(log_prob(model, together(documents)), expected, **EXACT)
    monkeypatch.setattr(module, "ELEMENTS", 10)  # logits two rows at a time
    monkeypatch.setattr(module, "TOKENS", 5)  # the last document is longer
    torch.testing.assert_close(log_prob(model, together(documents)), expected, **EXACT)
    turned = log_prob(model, together([each[::-1] for each in documents]))
    assert (turned - expected)[:, [0, 2]].abs().min() > 0.01  # control: the order of the words matters


@pytest.mark.parametrize("length", [1, 4])
def test_sequences_of_a_length_sum_to_one(length: int) -> None:
    words = [list(each) for each in itertools.product(range(3), repeat=length)]
    model = random_docnade()
    assert log_prob(model, together(words)).exp().sum().item() == pytest.approx(1, abs=1e-12)
    shifted = log_prob(model, together([*words[1:], words[0][:1]]))  # control: one word of the last one only
    assert abs(shifted.exp().sum().item() - 1) > 1e-3 or length == 1


def test_a_fresh_model_begins_at_the_unigram_model() -> None:
    model = docnade(2, [0, 1], totals=COUNTS.word_totals(), dtype=torch.float64)
    for bias in model.bias:
        np.testing.assert_allclose(bias, unigram(COUNTS).log_p, rtol=0, atol=1e-12)
    assert not torch.equal(model.weight[0], model.weight[1])
    alone = docnade(2, [1], totals=COUNTS.word_totals(), dtype=torch.float64)
    assert all(torch.equal(a[1], b[0]) for a, b in zip(model, alone, strict=True))


def test_no_documents_have_no_probabilities() -> None:
    assert log_prob(random_docnade(replicas=2), together([])).shape == (2, 0)
    assert log_prob(random_docnade(), together([[]])).tolist() == [[0.0]]  # the length is given


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="word 3 is not of the model's 3: expected 0 to 2"):
        log_prob(random_docnade(), together([[0, 3]]))
    with pytest.raises(ValueError, match="hidden=0"):
        docnade(0, [0], totals=np.array([1]))
    with pytest.raises(ValueError, match=r"totals must be \[V\]"):
        docnade(1, [0], totals=np.array([1, -1]))
    assert math.isfinite(log_prob(random_docnade(), together([[0, 2]])).item())  # control
