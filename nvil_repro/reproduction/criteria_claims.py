"""What must hold of criteria without a partition function, whatever the size of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from nvil_repro.data.mnist import held_out
from nvil_repro.reproduction.belief_nets import independent_pixels
from nvil_repro.reproduction.claims import Claim, above, require
from nvil_repro.reproduction.criteria_gradients import MIDDLE
from nvil_repro.reproduction.criteria_runs import Data
from nvil_repro.reproduction.criteria_views import (
    ON_PATTERNS,
    ON_PLANE,
    gradient_table,
    mnist_chosen,
    mnist_table,
    small_table,
)
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row

NEIGHBOURS = (  # criteria that compare a case with states near it, and sample nothing
    *("pseudolikelihood", "generalised pseudolikelihood", "ratio matching", "minimum probability flow"),
)
STRAIGHT = 0.999  # a cosine above it is no bias of the direction


def require_claims(rows: Sequence[Row], run: Run, data: Data) -> str:
    """Check that the claims hold, and say by how much.

    Each criterion learns, on each of the three problems: it ends above independent units, in nats. The expected
    gradient of those that look at neighbours alone leans away from the likelihood's at the trained machine, and half
    of the way there one minibatch's is, beside its own length, less noisy than PCD's. On MNIST PCD ends above each of
    the others, all at the rates that validation chose.
    Errors: `AssertionError` naming the claim that does not hold.
    """
    return require([*_learned(rows, run, data), *_gradients(rows), *_mnist(rows)])


def _learned(rows: Sequence[Row], run: Run, data: Data) -> Iterator[Claim]:
    floors = {
        ON_PATTERNS: independent_pixels(data.patterns.train, data.patterns.valid),
        ON_PLANE: normals(data.plane.train),
    }
    for model, floor in floors.items():
        for name, value in small_table(rows, model)["log-likelihood"].items():
            yield above(f"{name}, {model} on a small problem, above independent units", value, floor)
    floor = independent_pixels(data.mnist.train, held_out(data.mnist, run.settings.test_cases))
    for name, value in _at_best(rows).items():
        yield above(f"{name} on MNIST above independent pixels", value, floor)


def normals(x: Tensor) -> float:
    """Mean log-density of cases [N, D] under independent normals of their own means and variances, in nats."""
    return float(-(x.double().var(0, correction=0) * 2 * math.pi * math.e).log().sum() / 2)


def _gradients(rows: Sequence[Row]) -> Iterator[Claim]:
    table = gradient_table(rows)
    last = float(table["way"].max())
    by = table.set_index(["method", "metric", "way"])["value"]
    for name in NEIGHBOURS:
        if name in set(table["method"]):
            leaning = by[name, "gradient_cosine", last]
            yield above(f"{name}: gradient not along the likelihood's", STRAIGHT, leaning)
            if "PCD" in set(table["method"]):
                noise = [by[method, "gradient_noise", MIDDLE] for method in ("PCD", name)]
                yield above(f"{name}: noise beside the gradient's length below PCD's", noise[0], noise[1])


def _mnist(rows: Sequence[Row]) -> Iterator[Claim]:
    reached = _at_best(rows)
    for name, value in reached.items():
        if name != "PCD" and "PCD" in reached:
            yield above(f"MNIST: PCD above {name}", reached["PCD"], value)


def _at_best(rows: Sequence[Row]) -> dict[str, float]:
    """Test log-likelihood by the middle of the bracket, at each criterion's rate of `mnist_chosen`."""
    table = mnist_table(rows)["middle"]
    return {name: float(table[name, rate]) for name, rate in mnist_chosen(rows).items()}
