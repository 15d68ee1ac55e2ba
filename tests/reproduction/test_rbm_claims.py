"""The tables and claims of `rbm_training`, on made rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nvil_repro.reproduction import rbm_claims
from nvil_repro.reproduction.published import Published, read_published
from nvil_repro.reproduction.results import Row

BEST, PIXELS = -3.4, -205.0  # nats: what the patterns get from their own distribution, MNIST from its pixels
PRINTED = {"CD1": -125.53, "CD3": -105.5, "CD25": -86.3}


@pytest.fixture
def claimed(row: Callable[..., Row]) -> Callable[..., list[Row]]:
    def make(**changes: Any) -> list[Row]:
        made = []
        for method, end in {"exact": -3.5, "CD1": -6.0, **changes.get("patterns", {})}.items():
            for updates, value in ((0, -11.0), (10, end)):
                made.append(
                    row(
                        experiment="rbm_training", dataset="bars-and-stripes-4x4", model="RBM", dims="8",
                        method=method, protocol="", variant="", split="train", metric="log_likelihood", value=value,
                        updates=updates,
                    )
                )  # fmt: skip
        for method, mass in {"exact": 0.01, "CD1": 0.3, **changes.get("planted", {})}.items():
            made.append(
                row(method=method, variant="planted mode", metric="planted_mass", split="train", value=mass)
            )
        machines = [(*machine, 0) for machine in (PRINTED | changes.get("machines", {})).items()]
        machines += [(*machine, 1) for machine in changes.get("again", {}).items()]
        for method, value, seed in machines:
            ends = {"": value, "AIS": value + 1, "reverse": value - 1} | changes.get(f"ends {method}", {})
            for variant, number in ends.items():
                made.append(
                    row(
                        experiment="rbm_training", model="RBM", dims="500", method=method, protocol="", seed=seed,
                        variant=variant, metric="log_likelihood", value=number, stderr=0.1,
                        note=changes.get("note", "") if not variant else "",
                    )
                )  # fmt: skip
        return made

    return make


@pytest.fixture(scope="module")
def printed() -> list[Published]:
    return [number for number in read_published() if number.experiment == "rbm_training"]


def test_claims_that_hold_are_told(claimed: Callable[..., list[Row]], printed: list[Published]) -> None:
    told = rbm_claims.require_claims(claimed(), printed, best=BEST, pixels=PIXELS)
    assert "in the printed order: CD3 above CD1: -105.5 and -125.5" in told
    assert "patterns: the exact gradient ends above its start: -3.5 and -11" in told


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"patterns": {"exact": -11.5}}, "exact gradient ends above its start"),
        ({"patterns": {"CD1": -3.3}}, "the data's own above CD1"),
        ({"patterns": {"exact": math.nan}}, "exact gradient ends above its start"),
        ({"planted": {"CD1": 0.005}}, "CD-1 leaves more of it"),
        ({"machines": {"CD1": -200.0}}, "CD1, seed 0: above independent pixels"),
        ({"machines": {"CD1": math.nan}}, "CD1, seed 0: above independent pixels"),
        ({"machines": {"CD3": -126.0}}, "CD3 above CD1"),
        ({"again": {"CD3": -150.0}}, "CD3 above CD1: -127.8 and -125.5"),
        ({"ends CD1": {"AIS": -125.9}, "note": "exact"}, "CD1, seed 0: exact below the upper end"),
        ({"ends CD1": {"reverse": -125.1}, "note": "exact"}, "CD1, seed 0: exact above the lower end"),
    ],
)
def test_a_claim_that_does_not_hold_is_named(
    claimed: Callable[..., list[Row]], printed: list[Published], changes: Any, claim: str
) -> None:
    with pytest.raises(AssertionError, match=claim):
        rbm_claims.require_claims(claimed(**changes), printed, best=BEST, pixels=PIXELS)


@pytest.mark.parametrize(
    "changes",
    [
        {"patterns": {"CD1": -3.45}},  # above the exact gradient, below the data's own
        {"ends CD1": {"AIS": -127.5}},  # ends cross, of a machine that is not enumerated
        {"again": {"CD1": -104.0, "CD3": -103.0, "CD25": -87.0}},  # in order by their means
    ],
)
def test_what_may_be_true_does_not_stop_a_run(
    claimed: Callable[..., list[Row]], printed: list[Published], changes: Any
) -> None:
    assert rbm_claims.require_claims(claimed(**changes), printed, best=BEST, pixels=PIXELS)


def test_a_table_tells_how_log_z_was_had(claimed: Callable[..., list[Row]], printed: list[Published]) -> None:
    changes = {"ends CD1": {"AIS": -127.5}, "machines": {"CD3": math.nan}}
    table = rbm_claims.machine_table(claimed(**changes), printed).set_index("method")
    assert table["log Z"].to_dict() == {"CD1": "ends cross", "CD3": "diverged", "CD25": "bracket"}


def test_a_pattern_run_that_diverged_does_not_end_where_it_was_last_finite(
    claimed: Callable[..., list[Row]],
) -> None:
    table = rbm_claims.pattern_table(claimed(patterns={"CD1": math.nan}), BEST)
    assert table.loc["CD1", "at the end"] == -math.inf
    assert table.loc["CD1", "at its highest"] == -11.0
    assert table.loc["exact", "at the end"] == -3.5  # control


def test_rows_match_what_is_printed(claimed: Callable[..., list[Row]], printed: list[Published]) -> None:
    table = rbm_claims.machine_table(claimed(), printed).set_index("method")
    assert table["printed"].to_dict() == PRINTED
    assert table.loc["CD1", "from"] == pytest.approx(-126.83)
    assert table.loc["CD1", "to"] == pytest.approx(-124.23)
