"""What the notebooks on belief networks do between a model and a row: train it, measure it, tabulate it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits, held_out
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.nvil import stack_ingredients
from nvil_repro.models import bernoulli
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.reproduction.cells import Curves, Panel, cell_hash, curve_cells, kept_rows, panels_of
from nvil_repro.reproduction.naming import SEARCH, dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS, TUNED, Protocol
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import protocol_settings, run_folder
from nvil_repro.reproduction.settings import VarianceReduction
from nvil_repro.training.advance import TrainState
from nvil_repro.training.belief_nets import train
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Replica
from nvil_repro.training.progress import Progress
from nvil_repro.training.settings import TrainSettings
from nvil_repro.trees import clone, replica

if TYPE_CHECKING:
    pass

Result = TrainResult[TrainState]
# By variant and factor of the literal rates: the validation bound, nats.
Search = dict[str, dict[float, float]]


def train_quickstart(run: Run, data: MnistSplits) -> Result:
    """One net of the `quickstart` settings, by the full method."""
    s = run.settings
    settings = train_settings(run, s.layers, PROTOCOLS[s.protocol], seeds=(s.seed,))
    return _train(run, f"SBN {dims_label(s.layers)}, {s.protocol}", settings, data)


def train_panels(run: Run, data: MnistSplits) -> dict[Panel, Result]:
    """Figure 1: every network under every protocol, its variants and seeds side by side, but for seeds that `run.keep`
    has the rows of.

    An interrupted run goes on from its last checkpoints.
    """
    cells, kept = list(curve_cells(run.settings)), kept_rows(run, [data.dataset])
    if there := [cell for cell in cells if cell in kept]:
        codes = sorted({row.code_version for cell in there for row in kept[cell]})
        told = f"{len(there)} of {len(cells)} sets of curves are not trained: their rows are kept"
        print(f"{told}, written by {', '.join(codes)}")
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
    return _train(run, f"SBN {dims_label(panel.layers)}, {panel.protocol}", settings, data)


def best_factors(found: Search) -> dict[str, float]:
    """Each variant's best factor in a `search`."""
    return {variant: max(by, key=by.__getitem__) for variant, by in found.items()}


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
        result = _train(run, label, settings, data)
        for row in result.history:
            if row["split"] == "valid" and row["updates"]:
                found[row["variant"]][factor] = -math.inf if math.isnan(row["value"]) else row["value"]
    return found


def _train(run: Run, label: str, settings: TrainSettings, data: MnistSplits) -> Result:
    """The nets come home from a GPU: what is measured of them is measured on the CPU, by the same code as ever."""
    result = train(settings, data, run_folder(run, data.dataset, label, settings), title=label)
    return replace(result, state=clone(result.state, "cpu"), best=clone(result.best, "cpu"))


def train_settings(run: Run, layers: Sequence[int], how: Protocol, **changes: Any) -> TrainSettings:
    """One network's settings under a protocol, of the run's length and device unless `changes` say otherwise."""
    s = run.settings
    common: dict[str, Any] = {"updates": s.updates, "eval_every": s.eval_every, "device": run.device}
    common["validation_samples"] = s.bound_samples
    return protocol_settings(how, layers, **common | changes)


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


def search_rows(run: Run, panel: Panel, data: MnistSplits) -> Iterator[Row]:
    """What `search` found, from its finished runs: metric `SEARCH`, the note says the factor."""
    s, row = run.settings, _rows_of(run, data.dataset, *panel)
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


def history_rows(
    run: Run, result: Result, dataset: str, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """The validation bound at every evaluation, a row per replica."""
    yield from curve_rows(_rows_of(run, dataset, layers, protocol), result.history, "variant", "seed")


def bound_rows(
    run: Run, result: Result, data: MnistSplits, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """The paper's test bound of the full method, at its best validation parameters; NaN where it diverged."""
    s, x = run.settings, held_out(data, run.settings.test_cases)
    row = _rows_of(run, data.dataset, layers, protocol)
    for r, each in enumerate(replicas(result)):
        if each.variant != "full":
            continue
        net = replica(result.best.net, r)
        bound = estimate_bound(net, x, samples=s.bound_samples, seed=each.seed, name="test")
        diverged = f"diverged at update {result.diverged[r]}" if r in result.diverged else ""
        yield row(
            **each._asdict(),
            metric="bound",
            split="test",
            value=math.nan if diverged else bound.value.item(),
            stderr=None if diverged else bound.stderr.item(),
            n=bound.n,
            updates=result.updates,
            seconds=result.seconds,
            note=diverged,
        )


def variance_rows(
    run: Run, result: Result, data: MnistSplits, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """How noisy each variant's estimate of one and the same gradient is, summed over layers.

    `gradient_variance` is that of the gradient as it enters the update; `gradient_variance_unscaled` has the divisor
    of variance normalisation undone. Every variant is measured at the parameters the full method reached, on one
    minibatch of held-out cases, with the running mean and variance that belong there.
    """
    variants, row = run.settings.variants, _rows_of(run, data.dataset, layers, protocol)
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


def _rows_of(run: Run, dataset: str, layers: Sequence[int], protocol: str) -> Callable[..., Row]:
    row = partial(result_row, run, dataset=dataset, model="SBN", layers=layers, protocol=protocol)
    if not isinstance(run.settings, VarianceReduction):
        return row

    @cache
    def hash_of(seed: int) -> str:
        return cell_hash(run.experiment, run.settings, Curves(tuple(layers), protocol, seed))

    return lambda **values: row(**values, settings_hash=hash_of(values["seed"]))


def replicas(result: Result) -> list[Replica]:
    """Variant and seed of every replica, in order."""
    found = {row["replica"]: Replica(row["variant"], row["seed"]) for row in result.history}
    return [found[r] for r in sorted(found)]


def independent_pixels(train: Tensor, test: Tensor) -> float:
    """Mean log-probability in nats of test cases [N, D] if pixels were independent with training frequencies.

    It is what a belief network without hidden units gets (frequencies smoothed by one count each way).
    """
    p = (train.sum(0, dtype=torch.float64) + 1) / (len(train) + 2)
    return float(bernoulli.log_prob(p.logit(), test.double()).mean())


def first_layer(net: BeliefNet) -> Tensor:
    """Generative weights of the visible layer [H_1, D] of the first replica, a picture a hidden unit."""
    return net.generative[0].weight[0]
