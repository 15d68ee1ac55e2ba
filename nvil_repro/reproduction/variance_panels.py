"""Figure 1's panels: trained, and measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.nvil import stack_ingredients
from nvil_repro.reproduction.belief_nets import (
    Result,
    bound_rows,
    history_rows,
    replicas,
    rows_of,
    train_net,
    train_settings,
)
from nvil_repro.reproduction.cells import Curves, Panel, curve_cells, kept_rows, panels_of, say_kept
from nvil_repro.reproduction.naming import dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS, TUNED
from nvil_repro.reproduction.rate_search import Search, best_factors, search, search_in, search_rows
from nvil_repro.reproduction.results import Row
from nvil_repro.training.progress import Progress
from nvil_repro.trees import replica


def train_panels(run: Run, data: MnistSplits) -> dict[Panel, Result]:
    """Figure 1: every network under every protocol, its variants and seeds side by side, but for seeds that `run.keep`
    has the rows of.

    An interrupted run goes on from its last checkpoints.
    """
    cells, kept = list(curve_cells(run.settings)), kept_rows(run, [data.dataset])
    say_kept(run, [kept[cell] for cell in cells if cell in kept], f"{len(cells)} sets of curves")
    seeds: dict[Panel, list[int]] = {}
    for cell in cells:
        if cell not in kept:
            seeds.setdefault(cell.panel, []).append(cell.seed)
    results = {}
    for panel, missing in seeds.items():
        searched = search_in(kept.get(Curves(*panel, run.settings.seeds[0]), []))
        results[panel] = _train_panel(run, panel, missing, searched, data)
    return results


def _train_panel(run: Run, panel: Panel, seeds: Sequence[int], searched: Search, data: MnistSplits) -> Result:
    changes: dict[str, Any] = {"variants": run.settings.variants, "seeds": tuple(seeds)}
    if panel.protocol == TUNED:
        changes["rate_scale"] = best_factors(searched or search(run, panel.layers, data))
    settings = train_settings(run, panel.layers, PROTOCOLS[panel.protocol], **changes)
    return train_net(run, f"SBN {dims_label(panel.layers)}, {panel.protocol}", settings, data)


def panel_rows(run: Run, results: Mapping[Panel, Result], data: MnistSplits) -> list[Row]:
    """All rows of Figure 1: curves, test bounds of the full method, gradient variances, the search of "tuned"; first
    those that are kept of a panel, then those of `results`.
    """
    rows: list[Row] = []
    panels, kept = panels_of(run.settings), kept_rows(run, [data.dataset])
    with Progress(len(panels), "Measuring", unit="panel") as progress:
        for panel in panels:
            for cell in curve_cells(run.settings):
                rows += kept.get(cell, []) if cell.panel == panel else []
            if panel in results:
                rows += _measured(run, panel, results[panel], data)
            progress.step(1)
            progress.report(f"SBN {dims_label(panel.layers)}, {panel.protocol}")
    return rows


def _measured(run: Run, panel: Panel, result: Result, data: MnistSplits) -> Iterator[Row]:
    yield from history_rows(run, result, data.dataset, *panel)
    yield from bound_rows(run, result, data, *panel)
    yield from variance_rows(run, result, data, *panel)
    first = run.settings.seeds[0]
    if panel.protocol == TUNED and first in {each.seed for each in replicas(result)}:
        yield from search_rows(run, panel, data)


def variance_rows(
    run: Run, result: Result, data: MnistSplits, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """How noisy each variant's estimate of one and the same gradient is, summed over layers.

    `gradient_variance` is that of the gradient as it enters the update; `gradient_variance_unscaled` has the divisor
    of variance normalisation undone. Every variant is measured at the parameters the full method reached, on one
    minibatch of held-out cases, with the running mean and variance that belong there.
    """
    variants, row = run.settings.variants, rows_of(run, data.dataset, layers, protocol)
    ingredients = stack_ingredients(variants)
    x = data.valid[: PROTOCOLS[protocol].batch]
    for r, each in enumerate(replicas(result)):
        if each.variant != "full" or r in result.diverged:
            continue
        net = replica(result.best.net, r)
        state = settled_state(net, x, ingredients, seed=each.seed)
        draws = run.settings.gradient_samples
        measured = gradient_variance(net, x, state, ingredients, draws=draws, seed=each.seed)
        divisors = {
            "gradient_variance": torch.ones_like(measured.scale),
            "gradient_variance_unscaled": measured.scale,
        }
        for metric, divisor in divisors.items():
            values = (measured.trace * divisor**2).sum(0)
            errors = (measured.trace_stderr * divisor**2).square().sum(0).sqrt()
            for variant, value, error in zip(variants, values, errors, strict=True):
                yield row(
                    variant=variant,
                    seed=each.seed,
                    metric=metric,
                    split="valid",
                    value=value,
                    stderr=error,
                    n=draws,
                    updates=int(result.best.update[r]),
                )
