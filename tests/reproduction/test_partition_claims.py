"""The claims about estimates of log Z, on made rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nvil_repro.reproduction import partition_claims as claims
from nvil_repro.reproduction import partition_views as views
from nvil_repro.reproduction.partition_methods import (
    ADAPTIVE,
    AIS,
    EXACT,
    REVERSE,
    UNIFORM,
)
from nvil_repro.reproduction.partition_results import MODEL, TRACKED, TRIALS
from nvil_repro.reproduction.partition_tracking import OWN, TRAINING
from nvil_repro.reproduction.results import Row

LOG_Z = 100.0
Ends = tuple[float, float, float]
SHORT: tuple[Ends, Ends] = (95.0, 90.0, 96.0), (104.0, 103.0, 110.0)
LONG: tuple[Ends, Ends] = (99.9, 99.7, 100.1), (100.1, 99.9, 100.4)


@pytest.fixture
def claimed(row: Callable[..., Row]) -> Callable[..., list[Row]]:
    """Rows of a known and an unknown machine, on which every claim holds but for the changes."""

    def make(
        short: tuple[Ends, Ends] = SHORT,
        long: tuple[Ends, Ends] = LONG,
        other: tuple[Ends, Ends] = LONG,
        bias: tuple[float, float] = (-4.0, 4.0),
        most: float = 0.5,
        tracked: tuple[float, float] = (0.1, -8.0),
        slower: tuple[float, float] = (0.01, -0.8),
    ) -> list[Row]:
        machine = partial(row, model="RBM", dims="3", method="PCD", protocol="", variant="", seed=0)
        made = [machine(variant=EXACT, split=MODEL, metric="log_z", value=LOG_Z)]
        for dims, longest in (("3", long), ("5", other)):
            made.append(machine(dims=dims, split="test", metric="log_z", value=LOG_Z))
            for ladder in (UNIFORM, ADAPTIVE):
                for rungs, pair in ((2, short), (40, longest)):
                    for variant, ends in zip((AIS, REVERSE), pair, strict=True):
                        made += [
                            machine(dims=dims, variant=variant, protocol=f"{ladder}, {rungs} rungs", split=MODEL,
                                    metric=metric, value=value, n=20)
                            for metric, value in zip(views.NUMBERS, (*ends, 5.0), strict=True)
                        ]  # fmt: skip
        for variant, mean in zip((AIS, REVERSE), bias, strict=True):
            values = {"bias": mean, "coverage": most / 2, "coverage_upper": most}
            made += [
                machine(
                    variant=variant,
                    protocol="uniform, 2 rungs",
                    split=TRIALS,
                    metric=metric,
                    value=value,
                    n=9,
                )
                for metric, value in values.items()
            ]
        for rate, (near, far) in {"rate 0.05": tracked, "rate 0.005": slower}.items():
            strayed = {EXACT: 0.0, OWN: near, TRAINING: far}
            made += [
                machine(
                    variant=by, protocol=rate, split=TRACKED, metric="log_z", value=LOG_Z + error, updates=10
                )
                for by, error in strayed.items()
            ]
        return made

    return make


def test_claims_that_hold_are_told(claimed: Callable[..., list[Row]]) -> None:
    told = claims.require_claims(claimed()).splitlines()
    assert told[0] == "RBM 3, uniform, 2 rungs: [90.000, 110.000] holds 100.000"
    assert "RBM 5, adaptive, 40 rungs: the estimates are 0.200 nats apart, 9.000 with 2" in told
    assert (
        told[-2]
        == "RBM 3, rate 0.05, 10 updates tracked: chains of its own stray by 0.100 nats, those that train by -8.000"
    )


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"long": ((99.9, 100.05, 100.1), LONG[1])}, r"RBM 3, uniform, 40 rungs: \[100.050, 100.400\] holds 100"),
        ({"long": (LONG[0], (101.1, 99.0, 102.0))}, "the bracket closes to 1.2"),
        ({"other": SHORT}, "RBM 5, uniform, 40 rungs: the estimates are 9.000 nats apart"),
        ({"bias": (0.1, 4.0)}, "AIS errs by 0.100"),
        ({"bias": (-4.0, -0.1)}, "reverse AIS by -0.100"),
        ({"most": 0.999}, "at most 99.9%"),
        ({"tracked": (9.0, -8.0)}, r"rate 0\.05, 10 updates tracked"),
        ({"slower": (0.9, -0.8)}, r"rate 0\.005, 10 updates tracked"),
        ({"bias": (math.nan, 4.0)}, "AIS errs by nan"),
    ],
)  # fmt: skip
def test_a_claim_that_does_not_hold_is_named(
    claimed: Callable[..., list[Row]], changes: Any, claim: str
) -> None:
    with pytest.raises(AssertionError, match=claim):
        claims.require_claims(claimed(**changes))
