"""The replicated softmax against enumeration: of hidden states, and of all sequences of words of a length."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from nvil_repro.data.counts import Counts, from_dense
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.models.replicated_softmax import (
    ReplicatedSoftmax,
    documents,
    draw_words,
    hidden_logits,
    log_unnormalised,
    replicated_softmax,
    word_logits,
)
from nvil_repro.models.unigram import unigram

EXACT = {"rtol": 0, "atol": 1e-10}


def random_model(vocabulary: int = 3, hidden: int = 2, replicas: int = 1, seed: int = 0) -> ReplicatedSoftmax:
    """Every parameter drawn, none of them small; float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((vocabulary, hidden), (hidden,), (vocabulary,))
    return ReplicatedSoftmax(
        *(torch.randn(replicas, *s, generator=generator, dtype=torch.float64) for s in shapes)
    )


def all_sequences(length: int, vocabulary: int) -> np.ndarray:
    """Every document of `length` words: [V^D, D]."""
    return np.array(list(itertools.product(range(vocabulary), repeat=length)))


def counted(sequences: np.ndarray, vocabulary: int) -> Counts:
    """The counts of documents of one length [N, D]."""
    return from_dense(np.stack([np.bincount(words, minlength=vocabulary) for words in sequences]))


def minus_energy(model: ReplicatedSoftmax, words: np.ndarray, h: Tensor, r: int) -> Tensor:
    """-E(x, h) of one document, term by term, word by word."""
    total = len(words) * (model.hidden_bias[r] * h).sum()
    for k in words:
        total = total + model.bias[r, k] + (model.weight[r, k] * h).sum()
    return total


@pytest.mark.parametrize("length", [1, 4])
def test_the_unnormalised_probability_sums_over_hidden_states(length: int) -> None:
    model, states = random_model(replicas=2), enumerate_bits(2)
    sequences = all_sequences(length, 3)
    found = log_unnormalised(model, documents(counted(sequences, 3), torch.float64))
    for r, n in itertools.product(range(2), range(len(sequences))):
        terms = torch.stack([minus_energy(model, sequences[n], h, r) for h in states])
        torch.testing.assert_close(found[r, n], terms.logsumexp(0), **EXACT)
    other = (
        minus_energy(model, sequences[0], states[3], 1) + model.hidden_bias[1].sum()
    )  # control: a word more
    assert (other - minus_energy(model, sequences[0], states[3], 1)).abs() > 0.1


def test_conditionals_are_those_of_the_joint() -> None:
    """p(h | x) and p(x | h), from the energies of every sequence with every state."""
    model, sequences, states = random_model(), all_sequences(3, 3), enumerate_bits(2)
    joint = torch.tensor([[minus_energy(model, x, h, 0).item() for h in states] for x in sequences]).double()
    on = torch.sigmoid(hidden_logits(model, documents(counted(sequences, 3), torch.float64)))[0]
    of_h = (states[None] * on[:, None] + (1 - states[None]) * (1 - on[:, None])).prod(-1)
    torch.testing.assert_close(of_h, joint.softmax(1), rtol=0, atol=1e-6)
    words = word_logits(model, states[None])[0].softmax(-1)
    of_x = torch.stack([words[:, x].prod(-1) for x in sequences])
    torch.testing.assert_close(of_x, joint.softmax(0), rtol=0, atol=1e-6)


def test_counts_are_repetitions() -> None:
    """A word counted twice, and twice the word; fractions are allowed."""
    model = random_model()
    x = documents(counted(np.array([[0, 0, 2, 2, 2], [1, 1, 1, 1, 0]]), 3), torch.float64)
    once = x._replace(
        words=x.words.repeat_interleave(x.counts.long(), -1),
        counts=torch.ones(10, dtype=torch.float64),
        starts=torch.tensor([0, 5, 10]),
    )
    for function in (hidden_logits, log_unnormalised):
        torch.testing.assert_close(function(model, x), function(model, once), **EXACT)
    assert (
        hidden_logits(model, x._replace(counts=x.counts * 0.5)) - hidden_logits(model, x)
    ).abs().min() > 0.01


def test_words_are_drawn_by_inversion() -> None:
    """Each word's box of uniforms has its probability as volume: just inside and just outside of every edge."""
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[0, 1, 2] = -torch.inf  # never drawn
    edges = torch.cat([torch.zeros(2, 3, 1), logits.softmax(-1).cumsum(-1)], -1)
    starts = torch.tensor([0, 5, 10, 15])
    expected = torch.arange(5).repeat(3).expand(2, -1).clone()
    inside = edges[..., 1:] - 1e-9
    expected[0, 7] = 1  # the box is empty
    assert torch.equal(draw_words(logits, starts, inside.flatten(1)), expected)
    outside = edges[..., :-1] + 1e-9
    expected[0, 7] = 3
    assert torch.equal(draw_words(logits, starts, outside.flatten(1)), expected)
    assert torch.equal(draw_words(logits, starts, torch.ones(1, 15)), torch.full((2, 15), 4))  # rounded up
    assert not torch.equal(draw_words(logits.flip(1), starts, outside.flatten(1)), expected)


def test_documents_take_their_own_part_of_the_uniforms() -> None:
    logits = torch.full((1, 3, 4), -50.0)
    logits[0, torch.arange(3), torch.tensor([2, 0, 3])] = 50.0
    found = draw_words(logits, torch.tensor([0, 2, 2, 5]), torch.rand(1, 5))
    assert found.tolist() == [[2, 2, 3, 3, 3]]


def test_a_fresh_model_is_nearly_the_unigram_model() -> None:
    words = unigram(from_dense(np.array([[3, 0, 1], [2, 5, 0]])))
    model = replicated_softmax(4, [1, 7], words=words, dtype=torch.float64)
    assert [tuple(part.shape) for part in model] == [(2, 3, 4), (2, 4), (2, 3)]
    assert model.weight.abs().max() < 0.05
    assert not model.hidden_bias.any()
    torch.testing.assert_close(model.bias, torch.from_numpy(words.log_p).expand(2, -1))
    again = replicated_softmax(4, [7], words=words, dtype=torch.float64)
    assert torch.equal(again.weight[0], model.weight[1])
    assert not torch.equal(model.weight[0], model.weight[1])
    for hidden, seeds in ((0, [0]), (4, [])):
        with pytest.raises(ValueError, match="need hidden units and at least one seed"):
            replicated_softmax(hidden, seeds, words=words)
