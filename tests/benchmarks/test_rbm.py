"""RBMs beside their peers: all of them make the same step, and anneal towards the same log Z."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from benchmarks import rbm
from benchmarks.floor import Map
from benchmarks.timing import Way
from benchmarks.work import Bits
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.models.bernoulli import softplus
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.trees import clone


@pytest.fixture
def work(data: Bits) -> rbm.RbmWork:
    return rbm.learned(data, hidden=4, batch=6, updates=60)


def test_every_contender_has_its_row(work: rbm.RbmWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rbm, "EVERY", 5_000)
    monkeypatch.setattr(rbm, "FITTED", 2)
    rows = list(rbm.rbm_rows(work, seconds=0))
    assert [row.name.removeprefix("RBM 12-4, ") for row in rows] == ["PCD-1"] * 3 + ["CD-25", "annealing"]
    assert all(min(row.ours_ms, row.peer_ms, row.floor_ms) > 0 for row in rows)
    assert "14,501 rungs" in rows[-1].note


def decided(work: rbm.RbmWork) -> Rbm:
    """A machine whose every unit is as good as certain, so that samples are no accident."""
    sign = torch.tensor([1.0, -1.0])
    weight, b, c = clone(work.theta)
    return Rbm(weight, b * 0 + 60 * sign.repeat(6), c * 0 + 60 * sign.repeat(2))


@pytest.mark.parametrize(("criterion", "steps"), [("pcd", 1), ("pcd", 2), ("cd", 3)])
def test_plain_torch_makes_our_step(work: rbm.RbmWork, criterion: str, steps: int) -> None:
    begun = decided(work)
    (ours, chains), (plain, others) = clone((begun, work.chains)), clone((begun, work.chains))
    rbm.train(work.data, ours, chains, criterion, steps, range(2))
    rbm.torch_updates(plain, others[0], work.minibatches(2), criterion == "pcd", steps)
    assert torch.equal(chains, others)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert (ours.weight - begun.weight).abs().max() > 1e-3  # control


def test_plain_numpy_and_ours_anneal_towards_log_z(work: rbm.RbmWork) -> None:
    theta = Rbm(*(2 * part for part in work.theta))
    arrays, base = [part[0].numpy() for part in theta], np.zeros(12, np.float32)
    ladder = [k / 300 for k in range(301)]
    log_weights: Tensor = torch.from_numpy(rbm.numpy_weights(*arrays, base, ladder, 100))
    log_z = log_weights.logsumexp(0) - math.log(100) + float(softplus(torch.zeros(16)).sum())
    assert log_z.item() == pytest.approx(exact_log_partition(RBM, theta).item(), abs=0.1)


@pytest.mark.parametrize(("criterion", "steps", "products"), [("pcd", 1, 6), ("cd", 1, 5), ("cd", 25, 53)])
def test_the_products_of_an_update(
    work: rbm.RbmWork, criterion: str, steps: int, products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward of the minibatch and of the chains' ends, two gradients, and both ways at every step of the chains."""

    def products_alone(models: list[list[Map]], batch: int) -> list[Way]:
        for maps in models:
            assert sum(m.forward + m.backward for m in maps) == products
        return []

    monkeypatch.setattr(rbm, "products_alone", products_alone)
    rbm.floor(work, criterion, steps)
