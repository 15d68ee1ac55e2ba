"""The Bernoulli conditional, from logits and never from probabilities, sampled by given uniforms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def softplus(logits: Tensor) -> Tensor:
    """log(1 + e^logits), exact in double precision; torch's default turns linear at 20, where it is off by 2e-9."""
    return functional.softplus(logits, threshold=40.0)


def log_prob(logits: Tensor, bits: Tensor) -> Tensor:
    """log prod_j Bernoulli(bits_j; sigma(logits_j)) in nats: [..., H] -> [...]; `bits` are 0 or 1."""
    return (bits * logits - softplus(logits)).sum(-1)


def log_normaliser(logits: Tensor, bits: Tensor) -> Tensor:
    """What log p lacks to `bits` times `logits`, whatever the bits: [..., H] -> [...]."""
    return softplus(logits).sum(-1)


def error(logits: Tensor, bits: Tensor) -> Tensor:
    """d log p / d logits = bits - sigma(logits): [..., H]."""
    return bits - torch.sigmoid(logits)


def sample(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Bits in the dtype of `logits`: one where the uniform in [0, 1) lies below sigma(logits)."""
    return (uniforms < torch.sigmoid(logits)).to(logits.dtype)
