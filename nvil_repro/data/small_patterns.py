"""Problems small enough to sum over: the distribution of the data is known exactly, and is that of the training cases.

There is nothing to generalise to, so the validation cases are the training cases: their mean log-likelihood is at most
minus the data's entropy, `Patterns.best`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nvil_repro.streams import stream

WIDTH = 0.12  # standard deviation of a bump of the ring


class Patterns(NamedTuple):
    """Bits, uint8: train [N, D] with repetitions, valid the same; the different ones among them and how often."""

    train: Tensor
    valid: Tensor
    dataset: str
    patterns: Tensor  # [P, D]
    probabilities: Tensor  # [P], float64, summing to one

    @property
    def best(self) -> float:
        """The mean log-likelihood of the cases under their own distribution, minus its entropy, in nats."""
        return float((self.probabilities * self.probabilities.log()).sum())


class Plane(NamedTuple):
    """Points of the plane, float32: train [N, 2], valid [N', 2]."""

    train: Tensor
    valid: Tensor
    dataset: str


def bars_and_stripes(side: int = 4, *, copies: int = 1) -> Patterns:
    """Images of side^2 bits whose rows (bars) or columns (stripes) are each on or off by fair coins (MacKay 2003): all
    off and all on arise either way, so that 4 x 4 has 30 patterns, two of them twice as likely.

    Every case stands `copies` times in `train`, 2^(side + 1) cases at least.
    Errors: `ValueError` if side is not from 2 to 8, or copies not positive.
    """
    if not 2 <= side <= 8 or copies < 1:
        raise ValueError(f"side={side}, copies={copies}: expected a side from 2 to 8 and at least one copy")
    lines = _bits(torch.arange(2**side), side)
    bars = lines[:, :, None].expand(-1, side, side)
    both = torch.cat([bars, bars.mT]).flatten(1)
    return _patterns(both.repeat(copies, 1), f"bars-and-stripes-{side}x{side}")


def line(bits: int = 7, *, cases: int = 1000) -> Patterns:
    """Two bumps, a wide and a narrow one, on a line of 2^bits places, each in the Gray code of `line_states`, so that
    neighbours on the line differ in one bit: a density of bits that can be drawn as a curve (Figure 18.1).

    `cases` stand at equal steps of the distribution's quantiles.
    Errors: `ValueError` if bits are not from 2 to 16, or cases not positive.
    """
    if not 2 <= bits <= 16 or cases < 1:
        raise ValueError(f"bits={bits}, cases={cases}: expected 2 to 16 bits and at least one case")
    at = (torch.arange(2**bits, dtype=torch.float64) + 0.5) / 2**bits
    wide, narrow = (
        torch.exp(-(((at - mean) / sd) ** 2) / 2) / sd for mean, sd in ((0.3, 0.09), (0.75, 0.04))
    )
    reached = (0.6 * wide + 0.4 * narrow).cumsum(0)
    quantiles = (torch.arange(cases, dtype=torch.float64) + 0.5) / cases
    places = torch.searchsorted(reached / reached[-1], quantiles)
    return _patterns(line_states(bits)[places], f"line-{2**bits}")


def line_states(bits: int) -> Tensor:
    """The Gray code of the places 0 to 2^bits - 1 along the line, first bit lowest: uint8 [2^bits, bits]."""
    place = torch.arange(2**bits)
    return _bits(place ^ (place >> 1), bits)


def ring(cases: int = 2000, *, bumps: int = 6, seed: int = 0) -> Plane:
    """Points around `bumps` places on the unit circle, as many for validation.

    Errors: `ValueError` if cases or bumps are not positive.
    """
    if cases < 1 or bumps < 1:
        raise ValueError(f"cases={cases}, bumps={bumps}: expected at least one of each")

    def draw(index: int) -> Tensor:
        source = stream(seed, "ring", index)
        which, around = source.integers(bumps, size=cases), source.standard_normal((cases, 2))
        return (_places(bumps)[torch.from_numpy(which)] + WIDTH * torch.from_numpy(around)).float()

    return Plane(draw(0), draw(1), f"ring-{bumps}")


def ring_log_density(x: Tensor, bumps: int = 6) -> Tensor:
    """log p(x) of what `ring` draws, in nats: [..., 2] -> [...], float64."""
    away = (x.double()[..., None, :] - _places(bumps)).square().sum(-1)
    log_p = -away / (2 * WIDTH**2) - math.log(2 * math.pi * WIDTH**2 * bumps)
    return log_p.logsumexp(-1)


def _places(bumps: int) -> Tensor:
    angle = torch.arange(bumps, dtype=torch.float64) * (2 * math.pi / bumps)
    return torch.stack([angle.cos(), angle.sin()], -1)


def _bits(numbers: Tensor, bits: int) -> Tensor:
    return ((numbers[:, None] >> torch.arange(bits)) & 1).to(torch.uint8)


def _patterns(cases: Tensor, dataset: str) -> Patterns:
    patterns, counts = cases.unique(dim=0, return_counts=True)
    return Patterns(cases, cases, dataset, patterns, counts.double() / len(cases))
