"""What the rows of `continuous` say: two tables, and the claims that must hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nvil_repro.reproduction.claims import above, require
from nvil_repro.reproduction.continuous import DEEP, GAUSSIAN
from nvil_repro.reproduction.results import Row, frame

if TYPE_CHECKING:
    import pandas


def test_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """Test bound and importance-weighted estimate in nats: a line a net, mean over seeds."""
    table = frame(row for row in rows if row.split == "test")
    return table.pivot_table(index=["model", "variant"], columns="metric", values="value", sort=False)


def variance_table(rows: Sequence[Row]) -> pandas.DataFrame:
    """Gradient variance at equal parameters, estimators down, nets across: median over seeds."""
    table = frame(row for row in rows if row.metric == "gradient_variance")
    return table.pivot_table(index="variant", columns="model", values="value", aggfunc="median", sort=False)


def require_claims(rows: Sequence[Row], floor: float) -> str:
    """Check that the claims hold, and say by how much; `floor` is what independent pixels get, in nats.

    NVIL trains Gaussian latents, and bits under a deep Q, to 20 nats above the floor at least; on Gaussian latents
    it ends above the estimator without its techniques and below the reparameterisation, and its noise lies between
    theirs. A net that diverged counts as the worst.
    Errors: `AssertionError` naming the claim that does not hold.
    """
    table = frame(row for row in rows if (row.split, row.metric) == ("test", "bound"))
    bound = table.fillna({"value": -math.inf}).groupby(["model", "variant"])["value"].mean()
    gaussian, noise = bound[GAUSSIAN], variance_table(rows).reindex(columns=[GAUSSIAN])[GAUSSIAN]
    noise = noise.reindex(["none", "full", "pathwise"])  # NaN, above nothing, where a net diverged
    claims = [
        above(f"{model}: NVIL above independent pixels + 20 nats", bound[model, "full"], floor + 20)
        for model in (GAUSSIAN, DEEP)
    ]
    for better, worse in pairwise(name for name in ("pathwise", "full", "none") if name in gaussian):
        claims.append(above(f"{GAUSSIAN}: bound, {better} above {worse}", gaussian[better], gaussian[worse]))
    for louder, calmer in pairwise(("none", "full", "pathwise")):
        claims.append(
            above(f"{GAUSSIAN}: gradient variance, {louder} above {calmer}", noise[louder], noise[calmer])
        )
    return require(claims)
