"""What the notebooks on belief networks do between a model and a row: train it, measure it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from nvil_repro.data.mnist import MnistSplits, held_out
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.models import bernoulli
from nvil_repro.models.belief_net import BeliefNet
from nvil_repro.reproduction.cells import Curves, cell_hash
from nvil_repro.reproduction.naming import dims_label
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.protocols import PROTOCOLS, Protocol
from nvil_repro.reproduction.results import Row, curve_rows, result_row
from nvil_repro.reproduction.runs import protocol_settings, run_folder
from nvil_repro.reproduction.settings import VarianceReduction
from nvil_repro.training.advance import TrainState
from nvil_repro.training.belief_nets import train
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Replica
from nvil_repro.training.settings import TrainSettings
from nvil_repro.trees import clone, replica

Result = TrainResult[TrainState]


def train_quickstart(run: Run, data: MnistSplits) -> Result:
    """One net of the `quickstart` settings, by the full method."""
    s = run.settings
    settings = train_settings(run, s.layers, PROTOCOLS[s.protocol], seeds=(s.seed,))
    return train_net(run, f"SBN {dims_label(s.layers)}, {s.protocol}", settings, data)


def train_net(run: Run, label: str, settings: TrainSettings, data: MnistSplits) -> Result:
    """The nets come home from a GPU: what is measured of them is measured on the CPU, by the same code as ever."""
    result = train(settings, data, run_folder(run, data.dataset, label, settings), title=label)
    return replace(result, state=clone(result.state, "cpu"), best=clone(result.best, "cpu"))


def train_settings(run: Run, layers: Sequence[int], how: Protocol, **changes: Any) -> TrainSettings:
    """One network's settings under a protocol, of the run's length and device unless `changes` say otherwise."""
    s = run.settings
    common: dict[str, Any] = {"updates": s.updates, "eval_every": s.eval_every, "device": run.device}
    common["validation_samples"] = s.bound_samples
    return protocol_settings(how, layers, **common | changes)


def history_rows(
    run: Run, result: Result, dataset: str, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """The validation bound at every evaluation, a row per replica."""
    yield from curve_rows(rows_of(run, dataset, layers, protocol), result.history, "variant", "seed")


def bound_rows(
    run: Run, result: Result, data: MnistSplits, layers: Sequence[int], protocol: str
) -> Iterator[Row]:
    """The paper's test bound of the full method, at its best validation parameters; NaN where it diverged."""
    s, x = run.settings, held_out(data, run.settings.test_cases)
    row = rows_of(run, data.dataset, layers, protocol)
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


def rows_of(run: Run, dataset: str, layers: Sequence[int], protocol: str) -> Callable[..., Row]:
    """How to write a row of this network under this protocol; in Figure 1 with the settings hash of its seed's cell."""
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
