"""Drawing from autoregressive layers outside training: many cases, one unit after another, each case at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nvil_repro.kernels.bernoulli import sample_row_by_unit
from nvil_repro.kernels.jit import entry


def draw_compiled(feedforward: Tensor, uniforms: Tensor, lateral: Tensor) -> tuple[Tensor, Tensor]:
    """`models.autoregressive.draw`, of strictly upper triangular weights."""
    a, u = (part.contiguous().numpy() for part in torch.broadcast_tensors(feedforward, uniforms))
    bits, log_prob = np.empty(a.shape, np.uint8), np.empty(a.shape[:-1], a.dtype)
    for r in range(len(a)):
        _draw(a[r], u[r], lateral[r].contiguous().numpy(), bits[r], log_prob[r])
    return torch.from_numpy(bits).to(feedforward.dtype), torch.from_numpy(log_prob)


@entry
def _draw(feedforward, uniforms, lateral, bits, log_prob):
    logits = np.empty(lateral.shape[0], feedforward.dtype)
    work = np.empty((2, lateral.shape[0]), feedforward.dtype)
    for b in range(feedforward.shape[0]):
        for j in range(feedforward.shape[1]):
            logits[j] = feedforward[b, j]
        log_prob[b] = sample_row_by_unit(logits, uniforms[b], bits[b], lateral, work)
