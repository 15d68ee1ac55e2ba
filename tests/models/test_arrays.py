"""Nets from arrays and back; whatever does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvil_repro.models.arrays import bits, net_from_arrays, net_to_arrays
from nvil_repro.models.belief_net import parameters
from tests import oracle


@pytest.fixture
def arrays():
    return net_to_arrays(oracle.random_net((3, 2)))


def test_there_and_back(arrays):
    net, built = oracle.random_net((3, 2)), net_from_arrays(**arrays)
    assert built.layers == (3, 2)
    assert torch.equal(built.centre, net.centre)
    for (name, a), (_, b) in zip(parameters(net), parameters(built), strict=True):
        assert torch.equal(a, b), name


def test_the_replica_asked_for_is_given():
    net = oracle.random_net((3, 2), replicas=3)
    assert np.array_equal(net_to_arrays(net, 2)["generative"][1][0], net.generative[1].weight[2].numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_dtype_is_kept_and_memory_is_not_shared(arrays, dtype, make):
    given = {"centre": arrays["centre"], "prior": arrays["prior"]}
    given |= {"generative": arrays["generative"], "recognition": arrays["recognition"]}
    cast = {
        k: [tuple(map(dtype, pair)) for pair in v] if isinstance(v, list) else dtype(v)
        for k, v in given.items()
    }
    cast["prior"] = make(cast["prior"])
    net = net_from_arrays(**cast)
    assert net.baselines == ()
    assert net.prior.dtype == net.generative[1].weight.dtype == torch.from_numpy(np.zeros(1, dtype)).dtype
    before = np.asarray(cast["prior"]).copy()
    net.prior.add_(1.0)
    assert np.array_equal(np.asarray(cast["prior"]).copy(), before)


def replaced(arrays, key, index, part, value):
    layers = [list(layer) for layer in arrays[key]]
    layers[index][part] = value
    return {**arrays, key: layers}


def test_shapes_that_do_not_fit_are_named(arrays):
    transposed = replaced(arrays, "generative", 1, 0, arrays["generative"][1][0].T)
    with pytest.raises(ValueError, match=r"generative\[1\] weight has shape \[3, 2\], expected \[2, 3\]"):
        net_from_arrays(**transposed)
    with pytest.raises(ValueError, match=r"recognition\[0\] bias has shape \[7\], expected \[3\]"):
        net_from_arrays(**replaced(arrays, "recognition", 0, 1, np.zeros(7)))
    with pytest.raises(ValueError, match=r"baselines\[1\] weight has shape \[4, 3\], expected \[3, 3\]"):
        net_from_arrays(**replaced(arrays, "baselines", 1, 0, np.zeros((4, 3))))
    with pytest.raises(ValueError, match=r"centre has shape \[5\], expected \[4\]"):
        net_from_arrays(**{**arrays, "centre": np.zeros(5)})
    with pytest.raises(ValueError, match=r"generative\[0\] is not a tuple of 2 or 3 arrays"):
        net_from_arrays(**{**arrays, "generative": [pair[0] for pair in arrays["generative"]]})
    with pytest.raises(ValueError, match="recognition has 1 layers and generative has 2"):
        net_from_arrays(**{**arrays, "recognition": arrays["recognition"][:1]})


def test_numbers_that_are_none_are_named(arrays):
    weight = arrays["recognition"][1][0].copy()
    weight[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"recognition\[1\] weight holds nan at \[2, 1\]"):
        net_from_arrays(**replaced(arrays, "recognition", 1, 0, weight))
    with pytest.raises(ValueError, match=r"prior holds -inf at \[0\]"):
        net_from_arrays(**{**arrays, "prior": np.array([-np.inf, 0.0])})
    with pytest.raises(ValueError, match=r"prior is torch.float32 and centre is torch.float64"):
        net_from_arrays(**{**arrays, "prior": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match=r"centre is torch.int64"):
        net_from_arrays(**{**arrays, "centre": np.zeros(4, int)})


def test_batches_that_are_not_binary_are_refused():
    assert bits("x", np.eye(3, dtype=np.uint8), 3).dtype == torch.uint8
    with pytest.raises(ValueError, match=r"x must hold zeros and ones only, got 255 at \[1, 2\]: binarise"):
        bits("x", np.array([[0, 1, 0], [0, 0, 255]], np.uint8), 3)
    with pytest.raises(ValueError, match=r"got nan at \[0, 0\]"):
        bits("x", np.full((1, 3), np.nan), 3)
    with pytest.raises(
        ValueError, match=r"x must be \[cases, 3\] with at least one case, got shape \[0, 3\]"
    ):
        bits("x", np.zeros((0, 3)), 3)


def test_a_transposed_view_is_laid_out_anew(arrays):
    """torch stores the transpose of our weights, so `.T` is what many will pass."""
    turned = [(np.asfortranarray(weight), bias) for weight, bias in arrays["generative"]]
    assert not turned[0][0].flags.c_contiguous
    net = net_from_arrays(**{**arrays, "generative": turned})
    assert all(layer.weight.is_contiguous() for layer in net.generative)
    assert np.array_equal(net.generative[0].weight[0].numpy(), arrays["generative"][0][0])
