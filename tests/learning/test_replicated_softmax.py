"""The replicated softmax's phases against autograd of the exact likelihood, its chain against the model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.counts import from_dense
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.learning.contrastive_divergence import contrast
from nvil_repro.learning.replicated_softmax import gradient, reconstruct
from nvil_repro.models.replicated_softmax import (
    Documents,
    ReplicatedSoftmax,
    documents,
    hidden_logits,
    log_unnormalised,
    word_logits,
)
from tests.models.test_replicated_softmax import all_sequences, counted, random_model

EXACT = {"rtol": 0, "atol": 1e-10}


def free_of(model: ReplicatedSoftmax) -> ReplicatedSoftmax:
    return ReplicatedSoftmax(*(part.clone().requires_grad_() for part in model))


def test_the_gradient_is_autograd_s() -> None:
    """Of log p*, documents of different lengths and shares."""
    model = random_model(vocabulary=5, hidden=3, replicas=2)
    x = documents(from_dense(np.array([[0, 2, 0, 1, 0], [1, 0, 0, 0, 0], [3, 0, 4, 1, 1]])), torch.float64)
    shares, free = torch.tensor([0.3, 1.0, 0.7], dtype=torch.float64), free_of(model)
    expected = torch.autograd.grad((log_unnormalised(free, x) * shares).sum(), free)
    for found, slope in zip(gradient(model, x, shares), expected, strict=True):
        torch.testing.assert_close(found, slope, **EXACT)
    for found, slope in zip(gradient(model, x, shares.flip(0)), expected, strict=True):
        assert (found - slope).abs().max() > 0.1


def test_the_phases_differ_by_the_gradient_of_the_likelihood() -> None:
    """log Z_D and the negative phase by enumerating all sequences of three words."""
    model, shares = random_model(), torch.tensor([1.0, 0.5], dtype=torch.float64)
    x = documents(counted(np.array([[0, 2, 2], [1, 1, 0]]), 3), torch.float64)
    everything = documents(counted(all_sequences(3, 3), 3), torch.float64)
    free = free_of(model)
    log_p_all = log_unnormalised(free, everything).log_softmax(-1)
    log_p = log_unnormalised(free, x) - log_unnormalised(free, everything).logsumexp(-1)
    expected = torch.autograd.grad((log_p * shares).sum(), free)
    p = log_p_all.detach()[0].exp() * shares.sum()
    exact = contrast(gradient(model, x, shares), gradient(model, everything, p))
    for found, slope in zip(exact, expected, strict=True):
        torch.testing.assert_close(found, slope, **EXACT)
    off = contrast(gradient(model, x, shares), gradient(model, everything, p / 2))  # control
    assert all((found - slope).abs().max() > 0.1 for found, slope in zip(off, expected, strict=True))


def boxes(model: ReplicatedSoftmax, x: Documents) -> tuple[Tensor, Tensor, Tensor]:
    """The middle of every box of uniforms in which a step from the one document x, of two words, is the same:
    [boxes, H] for h, [boxes, 2] for the words; and the boxes' volumes.
    """
    on = torch.sigmoid(hidden_logits(model, x))[0, 0]
    hidden, words, volumes = [], [], []
    for h in enumerate_bits(len(on)):
        p = word_logits(model, h[None, None])[0, 0].softmax(-1)
        middle = p.cumsum(-1) - p / 2
        for a, b in all_sequences(2, len(p)):
            hidden.append(torch.where(h > 0, on / 2, (1 + on) / 2))
            words.append(torch.stack([middle[a], middle[b]]))
            volumes.append(torch.where(h > 0, on, 1 - on).prod() * p[a] * p[b])
    return torch.stack(hidden), torch.stack(words), torch.stack(volumes)


def test_a_step_leaves_the_model_s_distribution_as_it_is() -> None:
    """Its transition matrix by integrating over all uniforms, box by box."""
    model = random_model()
    sequences = all_sequences(2, 3)
    everything = documents(counted(sequences, 3), torch.float64)
    p = log_unnormalised(model, everything)[0].softmax(-1)
    matrix = torch.zeros(9, 9, dtype=torch.float64)
    for n, words in enumerate(sequences):
        hidden, drawn, volumes = boxes(model, documents(counted(words[None], 3), torch.float64))
        copies = documents(counted(np.tile(words, (len(volumes), 1)), 3), torch.float64)
        after = reconstruct(model, copies, hidden[None], drawn.view(1, -1))
        assert torch.equal(after.lengths, copies.lengths)
        first, second = after.words[0].view(-1, 2).T
        matrix[n].index_add_(0, 3 * first + second, volumes)
    torch.testing.assert_close(matrix.sum(1), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(p @ matrix, p, rtol=0, atol=1e-12)
    assert (matrix - p).abs().max() > 0.1  # it is no independent draw
    doubled = log_unnormalised(model._replace(hidden_bias=2 * model.hidden_bias), everything)[0].softmax(-1)
    assert (doubled @ matrix - doubled).abs().max() > 1e-3  # control: another model's is not left


def test_lengths_stay_and_a_chain_goes_on_from_what_it_made() -> None:
    model = random_model(vocabulary=6, hidden=3, replicas=2)
    x = documents(
        from_dense(np.array([[0, 2, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0], [3, 0, 4, 0, 1, 1]])), torch.float64
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        hidden, words = (torch.rand(1, *s, generator=generator) for s in ((3, 3), (13,)))
        x = reconstruct(model, x, hidden, words)
        assert x.words.shape == (2, 13)
        assert x.starts.tolist() == [0, 3, 4, 13]
        assert torch.equal(x.lengths, torch.tensor([3.0, 1.0, 9.0], dtype=torch.float64))
    assert not torch.equal(x.words[0], x.words[1])
