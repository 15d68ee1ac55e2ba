"""The search of Figure 1's "tuned": each variant's best rate on validation cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction.belief_nets import rows_of, train_net, train_settings
from nvil_repro.reproduction.cells import Panel
from nvil_repro.reproduction.naming import SEARCH, dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS, TUNED
from nvil_repro.reproduction.results import Row

# By variant and factor of the literal rates: the validation bound, nats.
Search = dict[str, dict[float, float]]


def search(run: Run, layers: Sequence[int], data: MnistSplits) -> Search:
    """The validation bound of each variant at each factor of the literal rates, nats, after `search_updates`.

    Of the first seed; minus infinity where training diverged.
    """
    s = run.settings
    found: dict[str, dict[float, float]] = {variant: {} for variant in s.variants}
    for factor in s.factors:
        settings = train_settings(
            run, layers, PROTOCOLS[TUNED], variants=s.variants, seeds=s.seeds[:1], updates=s.search_updates,
            eval_every=s.search_updates, rate_scale=dict.fromkeys(s.variants, factor),
        )  # fmt: skip
        label = f"SBN {dims_label(layers)}, {TUNED}, rates x {factor:g}"
        result = train_net(run, label, settings, data)
        for row in result.history:
            if row["split"] == "valid" and row["updates"]:
                found[row["variant"]][factor] = -math.inf if math.isnan(row["value"]) else row["value"]
    return found


def search_rows(run: Run, panel: Panel, data: MnistSplits) -> Iterator[Row]:
    """What `search` found, from its finished runs: metric `SEARCH`, the note says the factor."""
    s, row = run.settings, rows_of(run, data.dataset, *panel)
    for variant, by in search(run, panel.layers, data).items():
        for factor, value in by.items():
            exact = repr(factor).removesuffix(".0")  # which `search_in` reads again
            note = f"rates x {exact}" + ", diverged" * math.isinf(value)
            common = {"seed": s.seeds[0], "updates": s.search_updates, "split": "valid"}
            yield row(variant=variant, metric=SEARCH, value=value, note=note, **common)


def search_in(rows: Iterable[Row]) -> Search:
    """The `search` that `search_rows` wrote down; empty without one."""
    found: Search = {}
    for row in rows:
        if row.metric == SEARCH:
            factor = float(row.note.split(",")[0].removeprefix("rates x "))
            found.setdefault(row.variant, {})[factor] = -math.inf if math.isnan(row.value) else row.value
    return found


def best_factors(found: Search) -> dict[str, float]:
    """Each variant's best factor in a `search`."""
    return {variant: max(by, key=by.__getitem__) for variant, by in found.items()}
