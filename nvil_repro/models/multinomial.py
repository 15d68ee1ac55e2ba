"""Word counts given logits: log p(n) = sum_w n_w log softmax(logits)_w, of the words in the order in which they stand.

So without the multinomial coefficient, which perplexities leave out. The visible layer of a document net.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_normaliser(logits: Tensor, counts: Tensor) -> Tensor:
    """What log p lacks to `counts` times `logits`, N log sum_w e^{logits_w}: [..., V] -> [...]."""
    return counts.sum(-1) * logits.logsumexp(-1)


def log_prob(logits: Tensor, counts: Tensor) -> Tensor:
    """log p(n) in nats: [..., V] -> [...]; `counts` are whole and not negative."""
    return (counts * logits).sum(-1) - log_normaliser(logits, counts)


def error(logits: Tensor, counts: Tensor) -> Tensor:
    """d log p / d logits = n - N softmax(logits): [..., V]."""
    return counts - counts.sum(-1, keepdim=True) * torch.softmax(logits, -1)
