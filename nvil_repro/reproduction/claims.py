"""Claims that a run's numbers bear out, or the run fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Claim(NamedTuple):
    """What is said, with its numbers, and whether they say so."""

    text: str
    holds: bool


def above(text: str, more: float, less: float) -> Claim:
    """That one number is larger than the other, which nothing is to NaN."""
    return Claim(f"{text}: {more:.4g} and {less:.4g}", bool(more > less))


def require(claims: Iterable[Claim]) -> str:
    """All claims, a line each. Errors: `AssertionError`, the first that does not hold."""
    told = []
    for claim in claims:
        if not claim.holds:
            raise AssertionError(claim.text)
        told.append(claim.text)
    return "\n".join(told)
