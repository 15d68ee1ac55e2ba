"""The claims about log Z that must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nvil_repro.reproduction.partition_methods import ADAPTIVE, UNIFORM
from nvil_repro.reproduction.partition_views import bracket_lines, exact_values
from nvil_repro.reproduction.results import Row

CLOSED = 1.0  # nats between the two ends of a bracket that closes
SHARE = 0.5  # of the gap at the fewest rungs, what may be left at most


def require_claims(rows: Sequence[Row]) -> str:
    """Check that the claims hold, and say by how much.

    Of a machine whose log Z is known: at the fewest rungs of a uniform ladder AIS lies below it, reverse AIS above, and
    the interval of AIS misses it; at every length the bracket, from the lower end of the one to the upper end of the
    other, holds it; with the most rungs, uniform or adaptive, the estimates are less than `CLOSED` nats apart.
    Of every machine: more rungs bring them together, by `SHARE` at least.
    Errors: `AssertionError` naming the machine and the claim that does not hold.
    """
    told = []
    for holds, claim in _claims(rows):
        told.append(claim)
        if not holds:
            raise AssertionError(claim)
    return "\n".join(told)


def _claims(rows: Sequence[Row]) -> Iterator[tuple[bool, str]]:
    known = exact_values(rows)
    if not known:
        raise AssertionError("no machine's log Z is known")
    for ladder in (UNIFORM, ADAPTIVE):
        for key, lines in bracket_lines(rows, ladder).groupby(["dims", "seed"], sort=False):
            lines = lines.sort_values("rungs")
            first, last = lines.iloc[0], lines.iloc[-1]
            if key in known:
                yield from _of_known(known[key], ladder, lines)
            name = f"{_name(last, ladder)}: the estimates are {last['gap']:.3f} nats apart"
            yield abs(last["gap"]) < SHARE * first["gap"], f"{name}, {first['gap']:.3f} with {first['rungs']}"


def _of_known(exact: float, ladder: str, lines: Any) -> Iterator[tuple[bool, str]]:
    first, last = lines.iloc[0], lines.iloc[-1]
    for _, line in lines.iterrows():
        low, high = line["log_z_lower"], line["log_z_upper_reverse"]
        yield (
            low <= exact <= high,
            f"{_name(line, ladder)}: [{low:.3f}, {high:.3f}] holds log Z = {exact:.3f}",
        )
    if ladder == UNIFORM:
        low, high = first["log_z"], first["log_z_reverse"]
        yield (
            low < exact < high,
            f"{_name(first, ladder)}: AIS {low:.3f} < {exact:.3f} < {high:.3f} reverse AIS",
        )
        upper = first["log_z_upper"]
        yield (
            upper < exact,
            f"{_name(first, ladder)}: the interval of AIS alone ends at {upper:.3f} < {exact:.3f}",
        )
    yield abs(last["gap"]) < CLOSED, f"{_name(last, ladder)}: the bracket closes to {last['gap']:.3f} nats"


def _name(line: Any, ladder: str) -> str:
    return f"RBM {line['dims']}, {ladder}, {line['rungs']} rungs"
