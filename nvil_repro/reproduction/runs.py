"""From protocols to training runs: settings, folders, and many runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nvil_repro.models.belief_net import SBN, Architecture
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import NVIL, WAKE_SLEEP, Protocol
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import TrainSettings

LIKELIHOOD = "exact"  # the column of models whose likelihood is
CASES_A_CHUNK = 1_000  # in one call of the engine: minibatches and uniforms of this many stay in cache


def protocol_settings(
    how: Protocol,
    layers: Sequence[int],
    *,
    updates: int,
    eval_every: int,
    seeds: Sequence[int],
    method: str = NVIL,
    architecture: Architecture = SBN,
    **others: Any,
) -> TrainSettings:
    """A network under a protocol; the baselines learn at the inference network's rate.

    Other architectures than sigmoid belief networks and methods than NVIL are given; `others` pass through.
    """
    asleep = method == WAKE_SLEEP
    inference_rate = how.wake_sleep_rate if asleep else how.inference_rate
    chunk = math.gcd(eval_every, max(1, CASES_A_CHUNK // how.batch))
    hold = round(how.hold * updates / chunk) * chunk
    return TrainSettings(
        layers=tuple(layers),
        updates=updates,
        architecture=architecture,
        method="wake-sleep" if asleep else "nvil",
        seeds=tuple(seeds),
        optimiser=Optimiser(how.optimiser, centre=how.of_column(method)["centre"]),
        rate=how.wake_sleep_rate if asleep else how.rate,
        inference_rate=inference_rate,
        baseline_rate=inference_rate,
        decay_from=hold if hold < updates else None,
        batch_size=how.batch,
        eval_every=eval_every,
        chunk=chunk,
        **({"variants": ("",)} if asleep else {}) | others,
    )


def run_folder(run: Run, dataset: str, label: str, settings: Any, *modules: str) -> Path:
    """Where a training by `modules`, its settings with a `hash`, keeps its checkpoints: a folder for each data set,
    settings and version of the code and of torch, so nothing stale is resumed, and experiments that train the same net
    share it.
    """
    name = label.replace(", ", "-").replace(" ", "-")
    code = code_hash(of=modules or ("training/belief_nets.py",))
    return run.results_dir / "runs" / f"{name}-{dataset}-{settings.hash}-{code}-torch-{torch.__version__}"


def multiply_adds(settings: TrainSettings, visible: int = 784) -> float:
    """Multiply-adds of an update, about: every layer of P and Q forward, once more in wake-sleep's dreams, and its
    gradient; of the baselines likewise.
    """
    sizes = (visible, *settings.layers)
    units = [above + (settings.method == "nvil") * settings.baseline_units / 2 for above in settings.layers]
    dense = sum(2 * below * above for below, above in zip(sizes, units, strict=False))
    lateral = settings.layers[-1] ** 2 * settings.architecture.prior
    lateral += visible**2 * settings.architecture.visible
    lateral += sum(size**2 for size in settings.layers) * settings.architecture.inference
    products = 3 if settings.method == "wake-sleep" else 2
    return products * settings.batch_size * len(settings.replicas) * (dense + lateral)
