"""The claims about log Z that must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nvil_repro.reproduction.claims import Claim, require
from nvil_repro.reproduction.partition_methods import ADAPTIVE, AIS, EXACT, REVERSE, UNIFORM
from nvil_repro.reproduction.partition_questions import ladder_of
from nvil_repro.reproduction.partition_results import TRACKED
from nvil_repro.reproduction.partition_tracking import OWN, TRAINING
from nvil_repro.reproduction.partition_views import bracket_lines, exact_values, trial_lines
from nvil_repro.reproduction.results import Row, frame

CLOSED = 1.0  # nats between the two estimates of a bracket that closes
SHARE = 0.5  # of the gap with the fewest rungs, what may be left at most
THREE_SIGMA = 0.9973  # how often 3 standard errors of a normal estimate hold the truth


def require_claims(rows: Sequence[Row]) -> str:
    """Check that the claims hold, and say by how much.

    Of a machine whose log Z is known: at every length the bracket, from the lower end of AIS to the upper end of
    reverse AIS, holds it; with the most rungs, uniform or adaptive, the estimates are less than `CLOSED` nats apart;
    with the fewest, over all trials, AIS lies below on average and reverse AIS above, and the interval of AIS holds
    log Z less often than it says, beyond the chance of the Wilson interval. Of every machine: more rungs bring the
    two estimates together, by `SHARE` at least. Tracked to the end, at every rate, log Z by chains of its own is nearer
    to the exact value than by the chains that train.
    Errors: `AssertionError` naming the machine and the claim that does not hold.
    """
    return require([*_brackets(rows), *_trials(rows), *_tracked(rows)])


def _brackets(rows: Sequence[Row]) -> Iterator[Claim]:
    known = exact_values(rows)
    for ladder in (UNIFORM, ADAPTIVE):
        for key, lines in bracket_lines(rows, ladder).groupby(["dims", "seed"], sort=False):
            first, last = lines.iloc[0], lines.iloc[-1]
            if key in known:
                for _, line in lines.iterrows():
                    low, high, exact = line["log_z_lower"], line["log_z_upper_reverse"], known[key]
                    told = f"{_name(line, ladder)}: [{low:.3f}, {high:.3f}] holds {exact:.3f}"
                    yield Claim(told, low <= exact <= high)
                told = f"{_name(last, ladder)}: the bracket closes to {last['gap']:.3f} nats"
                yield Claim(told, abs(last["gap"]) < CLOSED)
            shrunk = f"{last['gap']:.3f} nats apart, {first['gap']:.3f} with {first['rungs']}"
            told = f"{_name(last, ladder)}: the estimates are {shrunk}"
            yield Claim(told, abs(last["gap"]) < SHARE * first["gap"])


def _trials(rows: Sequence[Row]) -> Iterator[Claim]:
    lines = trial_lines(rows)
    lines = lines.assign(rungs=[ladder_of(label)[1] for label in lines["protocol"]])
    for _, part in lines.groupby(["dims", "seed"], sort=False):
        short = part[part["rungs"] == part.loc[part["rungs"] > 0, "rungs"].min()].set_index("variant")
        rising, falling = short.loc[AIS], short.loc[REVERSE]
        name = f"{_name(rising, UNIFORM)}, {rising['n']} trials"
        low, high = rising["bias"], falling["bias"]
        told = f"{name}: AIS errs by {low:.3f} nats on average, reverse AIS by {high:.3f}"
        yield Claim(told, low < 0 < high)
        share, most = rising["coverage"], rising["coverage_upper"]
        told = f"{name}: {share:.1%} of the intervals of AIS hold log Z, at most {most:.1%}"
        yield Claim(told, most < THREE_SIGMA)


def _tracked(rows: Sequence[Row]) -> Iterator[Claim]:
    last = max(row.updates or 0 for row in rows if row.split == TRACKED)
    table = frame(row for row in rows if (row.split, row.metric, row.updates) == (TRACKED, "log_z", last))
    for (dims, rate, _), part in table.groupby(["dims", "protocol", "seed"], sort=False):
        log_z = part.set_index("variant")["value"]
        near, far = (log_z[by] - log_z[EXACT] for by in (OWN, TRAINING))
        what = f"chains of its own stray by {near:.3f} nats, those that train by {far:.3f}"
        yield Claim(f"RBM {dims}, {rate}, {last} updates tracked: {what}", abs(near) < abs(far))


def _name(line: Any, ladder: str) -> str:
    return f"RBM {line['dims']}, {ladder}, {line['rungs']} rungs"
