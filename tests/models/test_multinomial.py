"""Words given logits: against probabilities spelled out, sums over all documents, and autograd."""

from __future__ import annotations

import itertools

import pytest
import torch

from nvil_repro.models import multinomial
from tests import oracle

LOGITS = torch.tensor([[0.3, -1.2, 2.0], [5.0, 0.0, -0.4]], dtype=torch.float64)
COUNTS = torch.tensor([[2.0, 0.0, 7.0], [1.0, 1.0, 0.0]], dtype=torch.float64)


def test_it_is_the_sum_over_words_of_count_times_log_probability() -> None:
    spelled = oracle.words(LOGITS, torch.zeros(0), COUNTS, 0)
    torch.testing.assert_close(multinomial.log_prob(LOGITS, COUNTS), spelled, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_all_documents_of_a_length_sum_to_one(length: int) -> None:
    """Documents are sequences of words, so that there is no multinomial coefficient."""
    documents = torch.tensor(list(itertools.product(range(3), repeat=length)))
    counts = torch.nn.functional.one_hot(documents, 3).sum(1).double()
    total = multinomial.log_prob(LOGITS[0], counts).exp().sum()
    assert abs(total.item() - 1) < 1e-12
    distinct = torch.unique(counts, dim=0)  # control: of bags of words they sum to less
    assert length == 1 or multinomial.log_prob(LOGITS[0], distinct).exp().sum() < 0.99


def test_the_error_is_the_gradient() -> None:
    free = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(multinomial.log_prob(free, COUNTS).sum(), free)
    torch.testing.assert_close(multinomial.error(LOGITS, COUNTS), gradient, rtol=0, atol=1e-12)
    assert (multinomial.error(LOGITS, COUNTS.flip(-1)) - gradient).abs().max() > 1  # control


def test_the_normaliser_is_what_the_product_lacks() -> None:
    product = (LOGITS * COUNTS).sum(-1)
    found = product - multinomial.log_normaliser(LOGITS, COUNTS)
    torch.testing.assert_close(found, multinomial.log_prob(LOGITS, COUNTS))


def test_large_logits_overflow_nothing() -> None:
    assert torch.equal(
        multinomial.log_prob(LOGITS[:1] + 1e5, COUNTS[:1]).round(decimals=6),
        multinomial.log_prob(LOGITS[:1], COUNTS[:1]).round(decimals=6),
    )
    assert multinomial.error(LOGITS * 1e4, COUNTS).isfinite().all()
