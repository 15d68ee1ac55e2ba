"""Figure 1's rows for reading: where the curves end, in what order, the search of rates, the gradient's variances."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from nvil_repro.reproduction.naming import SEARCH
from nvil_repro.reproduction.protocols import VARIANTS
from nvil_repro.reproduction.rate_search import search_in
from nvil_repro.reproduction.results import Row, frame

if TYPE_CHECKING:
    import pandas


def final_bounds(rows: Iterable[Row]) -> pandas.DataFrame:
    """The validation bound at the end, variants down, a column a protocol and network: mean over seeds, nats, NaN where
    one diverged.
    """
    return _last(rows).pivot_table(
        index="variant", columns=["protocol", "dims"], values="value", sort=False, dropna=False,
        aggfunc=lambda values: values.mean(skipna=False),
    )  # fmt: skip


def variance_table(rows: Iterable[Row]) -> pandas.DataFrame:
    """Gradient variances, variants down: median over seeds, as used in the update and with the divisor undone."""
    table = frame(row for row in rows if row.metric.startswith("gradient_variance"))
    return table.pivot_table(
        index="variant", columns=["metric", "protocol", "dims"], values="value", aggfunc="median", sort=False
    )


def search_table(rows: Iterable[Row]) -> pandas.DataFrame:
    """The search of "tuned": validation bounds, nats, networks and variants down, factors of the literal rates across,
    the last column the best one, and whether it is the smallest or largest tried. Empty without "tuned".
    """
    import pandas

    searched = [row for row in rows if row.metric == SEARCH]
    found = {
        (dims, variant): by
        for dims in dict.fromkeys(row.dims for row in searched)
        for variant, by in search_in(row for row in searched if row.dims == dims).items()
    }
    factors = sorted({factor for by in found.values() for factor in by})
    index = pandas.MultiIndex.from_tuples(found, names=["dims", "variant"]) if found else None
    table = pandas.DataFrame(list(found.values()), index, factors, dtype=float)
    if found:
        table["best"] = [_best(by) for by in found.values()]
    return table.replace(-math.inf, math.nan)


def _best(by: Mapping[float, float]) -> str:
    best = max(by, key=by.__getitem__)
    if math.isinf(by[best]):
        return "all diverged"
    return f"{best:g}" + ", smallest tried" * (best == min(by)) + ", largest tried" * (best == max(by))


def paper_order(rows: Iterable[Row]) -> pandas.DataFrame:
    """Each neighbouring pair of Figure 1's curves, best first: by how many nats the one printed above leads at the end.

    Columns: protocol, dims, above, below, lead (mean over seeds of the paired difference), stderr (over seeds, NaN
    for one), holds (lead > 0; a variant that diverged counts as the worst).
    """
    import pandas

    found = []
    for (protocol, dims), panel in _last(rows).groupby(["protocol", "dims"], sort=False):
        by_seed = panel.fillna({"value": -math.inf}).pivot(index="seed", columns="variant", values="value")
        present = [variant for variant in VARIANTS if variant in by_seed]
        for above, below in pairwise(present):
            lead = by_seed[above] - by_seed[below]
            stderr = lead.std() / math.sqrt(len(lead))
            found.append((protocol, dims, above, below, lead.mean(), stderr, bool(lead.mean() > 0)))
    columns = ["protocol", "dims", "above", "below", "lead", "stderr", "holds"]
    return pandas.DataFrame(found, columns=columns)


def require_paper_ends(rows: Iterable[Row], protocols: Collection[str]) -> str:
    """Check that under `protocols` the ends of the paper's order hold, and say so: of the variants that were run,
    the one it prints best (the full method) ends best, and the one it prints worst ends worst.

    Errors: `AssertionError` naming the panel and the variants that broke the order.
    """
    told = []
    for (protocol, dims), panel in _last(rows).groupby(["protocol", "dims"], sort=False):
        if protocol in protocols:
            means = panel.fillna({"value": -math.inf}).groupby("variant")["value"].mean()
            best, worst = means.idxmax(), means.idxmin()
            ends = (
                f"SBN {dims}, {protocol}: best {best} ({means.max():.1f}), worst {worst} ({means.min():.1f})"
            )
            printed = [variant for variant in VARIANTS if variant in means]
            if (best, worst) != (printed[0], printed[-1]):
                raise AssertionError(f"{ends}; the paper's best is {printed[0]} and its worst {printed[-1]}")
            told.append(ends)
    return "\n".join(told)


def _last(rows: Iterable[Row]) -> pandas.DataFrame:
    """The last validation row of every replica."""
    table = frame(row for row in rows if row.metric == "bound" and row.split == "valid")
    return table.loc[table.groupby(["protocol", "dims", "variant", "seed"], sort=False)["updates"].idxmax()]
