"""How the gradient's variance changes while the full method trains, layer by layer: the reason of Figure 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.gradient_variance import gradient_variance, settled_state
from nvil_repro.learning.nvil import stack_ingredients
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.reproduction.belief_nets import train_settings
from nvil_repro.reproduction.cells import Along, along_cells, cell_hash, kept_rows
from nvil_repro.reproduction.naming import dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS
from nvil_repro.reproduction.results import Row, result_row
from nvil_repro.training.belief_nets import BeliefNets
from nvil_repro.training.progress import Progress
from nvil_repro.training.settings import TrainSettings
from nvil_repro.training.threads import one_thread

ROUND = 50  # `variance_at` are multiples of it, whatever the evaluations of the figure


def trajectory(
    settings: TrainSettings, data: MnistSplits, at: Sequence[int]
) -> Iterator[tuple[int, BeliefNet]]:
    """The nets after each of the updates `at`, rising multiples of the chunk, in place: use each before the next."""
    method = BeliefNets(settings, data.train, data.valid)
    state, done = method.start(), 0
    for update in at:
        while done < update:
            method.advance(state, done, settings.chunk)
            done += settings.chunk
        yield update, state.net


def variance_along(run: Run, data: MnistSplits) -> Iterator[Row]:
    """The variance of each variant's estimate of one gradient after each of the updates `variance_at` of the full
    method, of the first seed, a row a layer: metric `layer_1_gradient_variance` for the layer next to the pixels. The
    divisor of variance normalisation is undone, so equal numbers mean equal noise. Trained anew for the purpose, on the
    CPU, and from the start after an interruption; of what `run.keep` has, the rows that are kept.
    """
    s, kept = run.settings, kept_rows(run, [data.dataset])
    at = [update for update in s.variance_at if update <= s.updates]
    cells = list(along_cells(s))
    title = "Variance along training"
    with one_thread(), Progress(len(cells) * len(at), title, unit="point") as progress:
        for cell in cells:
            if cell in kept:
                yield from kept[cell]
                progress.step(len(at))
                continue
            alone = {"seeds": (cell.seed,), "eval_every": ROUND, "device": "cpu"}
            settings = train_settings(run, cell.layers, PROTOCOLS[cell.protocol], **alone)
            for update, net in trajectory(settings, data, at):
                yield from _rows(run, cell, update, net, data)
                progress.step(1)
                progress.report(f"SBN {dims_label(cell.layers)}, {cell.protocol}, update {update:,}")


def _rows(run: Run, cell: Along, update: int, net: BeliefNet, data: MnistSplits) -> Iterator[Row]:
    variants, draws = run.settings.variants, run.settings.gradient_samples
    x, ingredients = data.valid[: PROTOCOLS[cell.protocol].batch], stack_ingredients(run.settings.variants)
    state = settled_state(net, x, ingredients, seed=cell.seed)
    measured = gradient_variance(net, x, state, ingredients, draws=draws, seed=cell.seed)
    undone = measured.scale**2
    for layer, (values, errors) in enumerate(
        zip(measured.trace * undone, measured.trace_stderr * undone, strict=True), start=1
    ):
        for variant, value, error in zip(variants, values, errors, strict=True):
            yield result_row(
                run, dataset=data.dataset, model="SBN", layers=cell.layers, protocol=cell.protocol,
                variant=variant, seed=cell.seed, metric=f"layer_{layer}_gradient_variance", split="valid", value=value,
                stderr=error if value.isfinite() else None, n=draws, updates=update, threads=1, device="cpu",
                note="" if value.isfinite() else f"the full method diverged before update {update}",
                settings_hash=cell_hash(run.experiment, run.settings, cell),
            )  # fmt: skip
