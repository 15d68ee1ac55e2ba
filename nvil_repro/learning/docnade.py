"""The gradient of DocNADE's likelihood, averaged over the orders of a document, from a few of its conditionals.

Of a document in an order drawn for this update, log p = sum_i log p(v_i | v_<i). Given v_<i, every remaining word is as
probable to come next in a random order, so the mean of log p(v_k | v_<i) over k >= i has the same expectation and less
variance, for the same softmax (Uria, Murray & Larochelle 2014). And of the n terms m will do, each n/m-fold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nvil_repro.data.sequences import Sequences, ranges
from nvil_repro.models.docnade import DocNade, blocks, hidden_units


class Conditionals(NamedTuple):
    """P of the conditionals of some documents: row p has read words start .. stop - 1, and stop .. end - 1 remain."""

    start: NDArray[np.int64]  # [P]
    stop: NDArray[np.int64]  # [P]
    end: NDArray[np.int64]  # [P]
    weight: NDArray[np.float64]  # [P]: n/m, how many terms of its document it stands for


def choose(lengths: NDArray[np.int64], positions: int | None) -> NDArray[np.int64]:
    """How many conditionals of each document are learnt from: `positions`, or all if it has no more or that is None."""
    return lengths if positions is None else np.minimum(lengths, positions)


def conditionals(
    documents: Sequences, chosen: NDArray[np.int64], uniforms: NDArray[np.floating]
) -> Conditionals:
    """`chosen` [N] of each document's conditionals, one from each of as many equal parts, by uniforms [sum of chosen].

    With m of n, part j is n/m long and holds position i for the share of the part it covers, so the sum over parts of
    n/m f(i) has the expectation sum_i f(i); with m = n every position comes once.
    """
    document = np.repeat(np.arange(len(chosen)), chosen)
    share = documents.lengths[document] / chosen[document]
    part = ranges(np.zeros_like(chosen), chosen)
    position = np.minimum(((part + uniforms) * share).astype(np.int64), documents.lengths[document] - 1)
    start = documents.starts[document]
    return Conditionals(start, start + position, documents.starts[document + 1], share)


@torch.no_grad()
def gradient(net: DocNade, words: NDArray[np.int64], rows: Conditionals) -> tuple[Tensor, DocNade]:
    """Each conditional's mean log-probability of the remaining words [P], in nats, float64, and the gradient of
    their weighted sum. `net` is one model, without the axis R; `words` [tokens] are of the documents end to end.

    In memory for the hidden units and a block of logits.
    """
    like, vocabulary = net.weight, len(net.bias)
    read, start, stop = (torch.from_numpy(part) for part in (words, rows.start, rows.stop))
    weight = torch.from_numpy(rows.weight).to(like)
    h = hidden_units(net, read, start, stop)
    means, slope = torch.empty(len(start), dtype=torch.float64), torch.empty_like(h)
    to_output, to_bias = torch.zeros_like(net.output), torch.zeros_like(net.bias)
    for block in blocks(len(start), vocabulary):
        log_p = torch.log_softmax(torch.addmm(net.bias, h[block], net.output.T), -1)
        remaining = rows.end[block] - rows.stop[block]
        row = torch.from_numpy(np.repeat(np.arange(len(remaining)), remaining))
        at = row * vocabulary + read[ranges(rows.stop[block], rows.end[block])]
        share = torch.from_numpy(1 / remaining)
        means[block] = share * torch.zeros(len(share), dtype=torch.float64).index_add_(
            0, row, log_p.view(-1)[at].double()
        )
        error = log_p.exp_().mul_(-weight[block, None])
        error.view(-1).index_add_(0, at, (weight[block] * share.to(like))[row])
        slope[block] = error @ net.output
        to_output.addmm_(error.T, h[block])
        to_bias += error.sum(0)
    slope *= h * (1 - h)
    # A word is in the inputs of the rows with start <= its place < stop: the running sum of where they begin and end.
    ends = torch.zeros(len(words) + 1, h.shape[1], dtype=torch.float64)
    ends.index_add_(0, start, slope.double()).index_add_(0, stop, -slope.double())
    to_weight = torch.zeros_like(like).index_add_(0, read, ends.cumsum(0)[:-1].to(like))
    return means, DocNade(to_weight, slope.sum(0), to_output, to_bias)
