"""The bound with log Z plugged in: without weights that of the belief net, and log Z by either road."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nvil_repro.evaluation import bounds
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.undirected_top import estimate_bound, top_log_partition
from nvil_repro.models.rbm import RBM
from nvil_repro.trees import view
from tests.models.test_undirected_top import LAYERS, random_model, some_bits

EXACT = {"rtol": 0, "atol": 1e-10}
X = some_bits(7, 4).to(torch.uint8)
LADDER = uniform_ladder(60)


@LAYERS
def test_without_weights_it_is_the_belief_nets_bound(layers: tuple[int, ...]) -> None:
    model = random_model(layers)
    still = model._replace(weight=torch.zeros_like(model.weight))
    expected = bounds.estimate_bound(model.net, X, samples=5, seed=3)
    found = estimate_bound(still, X, top_log_partition(still, X), samples=5, seed=3)
    for name in ("value", "stderr", "sampling_stderr", "per_case"):
        torch.testing.assert_close(getattr(found.bound, name), getattr(expected, name), **EXACT)
    assert found.bound.n == 7
    other = estimate_bound(model, X, top_log_partition(model, X), samples=5, seed=3)  # control
    assert (other.bound.value - expected.value).abs().min() > 1e-3


def test_log_z_is_exact_or_annealed_and_the_bound_moves_with_it() -> None:
    model = random_model((3,))
    exact, annealed = (
        top_log_partition(model, X),
        top_log_partition(model, X, limit=1, ladder=LADDER, chains=400),
    )
    assert (exact.method, annealed.method) == ("exact", "AIS")
    torch.testing.assert_close(exact.log_z, exact_log_partition(RBM, model.top), **EXACT)
    assert bool(((annealed.lower < exact.log_z) & (exact.log_z < annealed.upper)).all())
    assert (annealed.upper - annealed.lower).max() < 0.2
    one, other = (estimate_bound(model, X, log_z) for log_z in (exact, annealed))
    torch.testing.assert_close(one.bound.value - other.bound.value, annealed.log_z - exact.log_z, **EXACT)
    torch.testing.assert_close(one.lower, one.bound.value, **EXACT)
    assert bool(((other.lower < one.bound.value) & (one.bound.value < other.upper)).all())


def test_a_replica_has_its_numbers_to_itself() -> None:
    model = random_model((3,))
    together, alone = (top_log_partition(m, X, limit=1, ladder=LADDER) for m in (model, view(model, 1)))
    assert torch.equal(together.log_z[1:], alone.log_z)
    pair = estimate_bound(model, X, together), estimate_bound(view(model, 1), X, alone)
    assert torch.equal(pair[0].bound.per_case[1:], pair[1].bound.per_case)


@pytest.mark.parametrize(
    ("change", "says"), [({"samples": 1}, "samples=1"), ({"x": X[:, :3]}, r"x must be \[cases, 4\]")]
)
def test_bad_input_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    model = random_model((3,))
    with pytest.raises(ValueError, match=says):
        estimate_bound(model, **({"x": X, "log_z": top_log_partition(model, X)} | change))
