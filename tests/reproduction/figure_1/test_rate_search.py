"""The search of Figure 1's "tuned"."""

from __future__ import annotations

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction import belief_nets, rate_search
from nvil_repro.reproduction.cells import Panel
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.variance_views import search_table
from tests.reproduction.figure_1.toy_figure import VARIANTS, tuned


def test_the_search_compares_each_variant_at_every_factor(run: Run, data: MnistSplits) -> None:
    found = rate_search.search(tuned(run), (3,), data)
    assert set(found) == set(VARIANTS)
    assert all(by[1e38] < -1e30 for by in found.values())
    settings = belief_nets.train_settings(
        run, (3,), PROTOCOLS["literal"], variants=VARIANTS, seeds=(0,), updates=10
    )
    history = belief_nets.train(settings, data, progress="off").history
    ends = {r["variant"]: r["value"] for r in history if r["split"] == "valid" and r["updates"] == 10}
    assert {variant: by[1.0] for variant, by in found.items()} == ends


def test_the_search_is_in_the_rows_and_names_a_best_one_at_the_end(run: Run, data: MnistSplits) -> None:
    rows = list(rate_search.search_rows(tuned(run), Panel((3,), "tuned"), data))
    assert len(rows) == 2 * len(VARIANTS)
    found = rate_search.search(tuned(run), (3,), data)
    assert {(r.variant, r.note): r.value for r in rows} == {
        (v, f"rates x {f:g}"): value for v, by in found.items() for f, value in by.items()
    }
    table = search_table(rows)
    assert table.loc[("3", "vn"), 1.0] == found["vn"][1.0]
    assert set(table["best"]) == {"1, smallest tried"}
    assert search_table([]).empty
    assert rate_search.search_in(rows) == found
    assert rate_search.search_in([]) == {}
