"""Claims: told when they hold, and the end of a run when one does not."""

from __future__ import annotations

import math

import pytest

from nvil_repro.reproduction.claims import Claim, above, require


def test_claims_that_hold_are_told_line_by_line() -> None:
    assert require([above("two above one", 2, 1), Claim("said", True)]) == "two above one: 2 and 1\nsaid"


@pytest.mark.parametrize("more", [1.0, 0.5, math.nan])
def test_the_first_that_does_not_hold_is_named(more: float) -> None:
    with pytest.raises(AssertionError, match=r"^more than one: "):
        require([Claim("said", True), above("more than one", more, 1), Claim("never reached", False)])
