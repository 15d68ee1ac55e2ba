"""Bernoulli layers whose units condition on one another: logits_j = a_j + sum_{k<j} bits_k lateral_kj.

Sampler and log-probability read the same matrix through `strictly_upper`, so neither can see a weight that the
other does not (section 3.4 of the paper, fDARN; Gregor et al. 2014, DARN).
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from nvil_repro.models import bernoulli


def strictly_upper(lateral: Tensor) -> Tensor:
    """`lateral` [..., H, H] with all but the weights from unit k to units j > k set to zero."""
    return lateral.triu(1)


def logits(feedforward: Tensor, bits: Tensor, lateral: Tensor) -> Tensor:
    """Logits given the bits themselves: [R, B, H], [R or 1, B, H], [R, H, H] -> [R, B, H]."""
    return feedforward + torch.matmul(bits, strictly_upper(lateral))


def draw(feedforward: Tensor, uniforms: Tensor, lateral: Tensor) -> tuple[Tensor, Tensor]:
    """Bits [R, B, H], unit after unit, and their log-probability in nats [R, B].

    From what the inputs contribute to the logits [R, B, H], uniforms [R or 1, B, H] and weights [R, H, H];
    compiled on a CPU where numba is installed, `draw_by_unit` elsewhere.
    Errors: `ValueError` if they do not fit; compiled code would read past the end.
    """
    (r, cases, h), shape = feedforward.shape, tuple(uniforms.shape)
    if lateral.shape != (r, h, h):
        raise ValueError(f"lateral has shape {list(lateral.shape)}, expected {[r, h, h]} to fit the logits")
    if shape[1:] != (cases, h) or shape[0] not in (1, r):
        raise ValueError(f"uniforms have shape {list(shape)}, expected {[r, cases, h]} to fit the logits")
    if feedforward.device.type == "cpu" and find_spec("numba"):
        from nvil_repro.kernels.sampling import draw_compiled

        return draw_compiled(feedforward, uniforms, strictly_upper(lateral))
    return draw_by_unit(feedforward, uniforms, lateral)


def draw_by_unit(feedforward: Tensor, uniforms: Tensor, lateral: Tensor) -> tuple[Tensor, Tensor]:
    """`draw`, a unit of all cases at a time."""
    a, weights = feedforward.clone(), strictly_upper(lateral)
    bits = torch.empty_like(a)
    for j in range(a.shape[-1]):
        bits[..., j] = bernoulli.sample(a[..., j], uniforms[..., j])
        a[..., j + 1 :] += bits[..., j, None] * weights[:, None, j, j + 1 :]
    return bits, bernoulli.log_prob(a, bits)
