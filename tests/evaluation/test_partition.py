"""log Z by annealing, up and down, of every family: against enumeration, and exactly where nothing is random."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nvil_repro.evaluation import annealing_path
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.ladders import uniform_ladder
from nvil_repro.evaluation.linked import linked_importance
from nvil_repro.evaluation.partition import Bracket, ais, reverse_ais
from nvil_repro.evaluation.partition_estimate import SURE, PartitionEstimate, of_weights
from nvil_repro.evaluation.reverse_annealing import raise_log_prob
from nvil_repro.evaluation.simple_importance import log_variance, simple_importance
from nvil_repro.evaluation.target_samples import exact_samples
from nvil_repro.models.boltzmann import BOLTZMANN, Boltzmann
from nvil_repro.models.gaussian_rbm import GAUSSIAN_RBM, GaussianRbm
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.unnormalised import Family, energy_family
from nvil_repro.trees import view
from tests.models.test_unnormalised import normals, random_rbm

MINE = energy_family("mine", RBM.log_unnormalised, visible=4, base=RBM.base)
FAMILIES: dict[str, tuple[Family, Any]] = {
    "RBM": (RBM, random_rbm()),
    "mine": (MINE, random_rbm()),
    "Gaussian RBM": (GAUSSIAN_RBM, GaussianRbm(*random_rbm(), normals(2, 4, seed=3) / 4)),
    "Boltzmann machine": (BOLTZMANN, Boltzmann(normals(2, 4, 4), normals(2, 4, seed=1))),
}
every = pytest.mark.parametrize(("family", "theta"), FAMILIES.values(), ids=FAMILIES)
LADDER = uniform_ladder(30)
ROUNDING = {"rtol": 1e-4, "atol": 1e-4}  # of single precision


def holds(found: PartitionEstimate, exact: torch.Tensor) -> bool:
    return bool(((found.lower <= exact) & (exact <= found.upper)).all())


@every
def test_the_interval_holds_the_exact_value(family: Family, theta: Any) -> None:
    exact = exact_log_partition(family, theta)
    mean = None if family is GAUSSIAN_RBM else torch.tensor([0.2, 0.5, 0.7, 0.9])
    found = ais(family, theta, ladder=LADDER, mean=mean)
    assert holds(found, exact)
    assert (found.upper - found.lower).max() < 1.2
    assert (found.ess > 20).all()
    assert not holds(found, exact + 1)  # control
    simple = simple_importance(family, theta, samples=20_000, mean=mean)
    assert holds(simple.estimate, exact)


@pytest.mark.parametrize("family", [RBM, MINE._replace(name="sites"), BOLTZMANN], ids=lambda f: f.name)
def test_chains_that_fall_from_exact_samples_close_the_bracket(family: Family) -> None:
    theta = FAMILIES["Boltzmann machine" if family is BOLTZMANN else "RBM"][1]
    exact, samples = exact_log_partition(family, theta), exact_samples(family, theta, 100, 1)
    falling = reverse_ais(family, theta, samples, ladder=LADDER, seed=1)
    assert holds(falling, exact)
    both = Bracket(ais(family, theta, ladder=LADDER), falling)
    assert bool(((both.lower <= exact) & (exact <= both.upper)).all())
    flipped = reverse_ais(family, theta, 1 - samples, ladder=[0, 1])
    assert not holds(flipped, exact)  # control: no samples of the model


def test_without_weights_every_estimate_is_exact() -> None:
    theta = Rbm(torch.zeros(2, 4, 3).double(), normals(2, 4, seed=1), normals(2, 3, seed=2))
    exact = exact_log_partition(RBM, theta)
    samples = exact_samples(RBM, theta, 10)
    for found in (
        ais(RBM, theta, ladder=LADDER, mean=torch.rand(4)),
        reverse_ais(RBM, theta, samples, ladder=LADDER),
        simple_importance(RBM, theta, samples=10).estimate,
    ):
        for value in found[1:4]:
            torch.testing.assert_close(value, exact, rtol=0, atol=1e-12)
        assert (found.ess == len(samples[0])).all() or (found.ess == 100).all()
    nearly = theta._replace(weight=theta.weight + 0.1)  # control
    assert (ais(RBM, nearly, ladder=LADDER).log_z - exact).abs().min() > 0.01


def test_estimates_are_a_function_of_seed_and_model_alone() -> None:
    theta = random_rbm()
    found, again, other = (ais(RBM, theta, ladder=LADDER, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(found.log_z, again.log_z)
    assert not torch.equal(found.log_z, other.log_z)
    torch.testing.assert_close(
        ais(RBM, view(theta, 1), ladder=LADDER, seed=3).log_z, found.log_z[1:], rtol=0, atol=1e-12
    )
    rungs: list[int] = []
    ais(RBM, theta, ladder=LADDER, watch=rungs.append)
    assert rungs == list(range(1, 29))


def test_the_open_end_is_never_further_than_markov_allows() -> None:
    rare = torch.tensor([[0.0, 0.0, 50.0]])
    up, down = (of_weights("x", torch.zeros(1), rare, falling=falling) for falling in (False, True))
    mean = 50 - math.log(3)
    for found, expected in ((up.lower, mean - SURE), (down.upper, SURE - mean)):
        torch.testing.assert_close(found.item(), expected)
    assert up.upper - up.log_z < SURE


def test_the_variance_of_a_mean_of_weights() -> None:
    log_w, log_z0 = normals(1, 7), torch.tensor([1.5]).double()
    w = log_w[0].exp()
    expected = (log_z0.exp() / 7) ** 2 * (w - w.mean()).square().sum()
    torch.testing.assert_close(log_variance(log_z0, log_w)[0].exp(), expected[0])
    torch.testing.assert_close(log_variance(log_z0, log_w + 500)[0], expected[0].log() + 1000)


@pytest.mark.parametrize(
    "ladder", [[0, 0.5], [0.1, 1], [0, 0.6, 0.5, 1], [0, 0.5, 0.5, 1], [1, 0], [0], [], [0, math.nan, 1]]
)
def test_ladders_that_are_none_are_refused(ladder: list[float]) -> None:
    for call in (ais, lambda *a, **k: reverse_ais(*a, torch.zeros(1, 2, 4), **k)):
        with pytest.raises(ValueError, match=r"the ladder (runs|goes) .*expected"):
            call(RBM, random_rbm(), ladder=ladder)


@pytest.mark.parametrize("chains", [0, 1])
def test_fewer_than_two_chains_are_refused_before_any_work(chains: int) -> None:
    for call in (  # without parameters any work would fail
        lambda: ais(RBM, None, ladder=LADDER, chains=chains),
        lambda: reverse_ais(RBM, None, torch.zeros(1, chains, 4), ladder=LADDER),
        lambda: simple_importance(RBM, None, samples=chains),
        lambda: linked_importance(RBM, None, ladder=LADDER, chains=chains),
    ):
        with pytest.raises(ValueError, match=f"{chains} chain.*at least 2"):
            call()


def test_single_precision_takes_the_compiled_road_to_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has hidden biases at its base, or another precision or family, has no such road."""
    pytest.importorskip("numba")
    from nvil_repro.kernels.rbm_annealing import ais_compiled

    theta, mean = Rbm(*(part.float() for part in random_rbm())), torch.tensor([0.2, 0.5, 0.7, 0.9])
    samples = exact_samples(RBM, theta, 50, 1)

    def all_three(seed: int, told: list[int]) -> list[Tensor]:
        given: dict[str, Any] = {"ladder": LADDER, "mean": mean, "seed": seed, "watch": told.append}
        up, down = ais(RBM, theta, **given), reverse_ais(RBM, theta, samples, **given)
        return [*up[1:], *down[1:], raise_log_prob(RBM, theta, samples[0, :5], chains=3, **given)]

    compiled_told, told = list[int](), list[int]()
    compiled = all_three(3, compiled_told)
    path, base = annealing_path.annealing_path(RBM, theta, mean), annealing_path.known_base(RBM, theta, mean)
    assert path.compiled
    begun_there = ais_compiled(theta, base.theta.visible_bias, LADDER, 100, 3, 1)
    torch.testing.assert_close(of_weights("AIS", base.log_z, begun_there).log_z, compiled[0], **ROUNDING)
    bare = Rbm(torch.zeros_like(theta.weight), theta.visible_bias, theta.hidden_bias)
    assert annealing_path.annealing_path(RBM, bare).compiled is None
    assert annealing_path.annealing_path(RBM, random_rbm()).compiled is None

    monkeypatch.setattr(annealing_path, "find_spec", lambda name: None)
    for here, there in zip(all_three(3, told), compiled, strict=True):
        torch.testing.assert_close(here, there, **ROUNDING)
    assert compiled_told == [*range(len(LADDER))] * 3
    assert told == [*range(1, len(LADDER) - 1)] * 3  # control: another road it was
    others = zip(all_three(4, told), compiled, strict=True)  # control: other uniforms
    assert all((here - there).abs().min() > 1e-3 for here, there in others)
