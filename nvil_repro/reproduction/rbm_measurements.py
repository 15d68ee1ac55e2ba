"""What the machines of `rbm_training` are: how each is trained and what is measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nvil_repro.data.mnist import PIXELS, MnistSplits, held_out
from nvil_repro.evaluation.exact import CHUNK, LIMIT
from nvil_repro.evaluation.exact_partition import exact_log_partition
from nvil_repro.evaluation.importance import difference_estimate, random_part
from nvil_repro.evaluation.ladders import named_ladder, uniform_ladder
from nvil_repro.evaluation.partition import Bracket, ais, reverse_ais
from nvil_repro.evaluation.reverse_annealing import raise_log_prob
from nvil_repro.evaluation.target_samples import exact_samples, gibbs_samples
from nvil_repro.evaluation.undirected_top import estimate_bound, top_log_partition
from nvil_repro.files import settings_hash
from nvil_repro.models.rbm import RBM, Rbm, log_unnormalised
from nvil_repro.models.undirected_top import DeepBeliefNet
from nvil_repro.reproduction.measurements import Numbers
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.reproduction.rbm_systems import MODULE, multiply_adds
from nvil_repro.training import undirected_top, unnormalised
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.undirected_top import UndirectedTopSettings
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings
from nvil_repro.training.unnormalised_start import mean_of

CODE = ("reproduction/rbm_measurements.py",)  # and all that it imports
EMPTY = "log_p_empty"  # log p(x = 0), by the exact log Z or the middle of its bracket
AIS, REVERSE, RAISE = "AIS", "reverse", "RAISE"  # variants; without one, the middle of the first two


class Annealing(NamedTuple):
    """How log Z is estimated."""

    ladder: str
    rungs: int
    chains: int

    def rungs_for(self, theta: Rbm, mean: Tensor) -> list[float]:
        return named_ladder(self.ladder, RBM, theta, self.rungs, chains=self.chains, mean=mean)


@dataclass(frozen=True)
class Likelihood:
    """An RBM: its test log-likelihood, exact if a side can be enumerated, and in any case between two estimates.

    And what it thinks of the image without ink, which is no digit, and which chains near digits never meet.
    """

    training: UnnormalisedSettings
    annealing: Annealing
    test_cases: int
    reverse_cases: int
    module: str = MODULE

    @property
    def multiply_adds(self) -> float:
        return multiply_adds(self.training, PIXELS)

    @property
    def name(self) -> str:
        return _named((*self.annealing, self.test_cases, self.reverse_cases))

    def train(self, data: MnistSplits, folder: Path, **options: Any) -> TrainResult[Any]:
        return unnormalised.train(self.training, data, folder, **options)

    def measure(self, net: Rbm, data: MnistSplits) -> Numbers:
        x, mean, seed = held_out(data, self.test_cases), mean_of(data.train), self.training.seeds[0]
        ladder, exact = self.annealing.rungs_for(net, mean), 2 ** net.weight.shape[-1] <= LIMIT
        found = log_z_bracket(net, x, ladder, self.annealing.chains, mean, seed, exact)
        level = levels(net, x)
        numbers = bracket_numbers(found, level)
        part = random_part(len(x), self.reverse_cases)
        low = raise_log_prob(RBM, net, x[part], ladder=ladder, mean=mean, seed=seed)
        value, stderr = difference_estimate(level, part, low)
        note = f"annealed from {len(part):,} cases, carried over to {len(x):,}"
        numbers[f"log_likelihood/{RAISE}"] = (value.item(), stderr.item(), len(part), note)
        if exact:
            log_z = exact_log_partition(RBM, net).item()
            numbers["log_z"] = (log_z, 0.0, 0, "exact")
            numbers["log_likelihood"] = (
                level.mean().item() - log_z,
                *numbers["log_likelihood"][1:3],
                "exact",
            )
        log_z, error, _, note = numbers["log_z"]
        numbers[EMPTY] = (levels(net, torch.zeros_like(x[:1])).item() - log_z, error, 0, note)
        return numbers


def log_z_bracket(
    theta: Rbm, x: Tensor, ladder: Sequence[float], chains: int, mean: Tensor, seed: int, exact: bool
) -> Bracket:
    """log Z by chains that rise from the base rates, and by others that fall: from exact samples of the model if
    `exact`, else from where as many Gibbs steps as there are rungs have led from test cases x [N, D].
    """
    if exact:
        samples = exact_samples(RBM, theta, chains, seed)
    else:
        samples = gibbs_samples(RBM, theta, x, chains, burn_in=len(ladder), seed=seed)
    rising = ais(RBM, theta, ladder=ladder, chains=chains, mean=mean, seed=seed)
    return Bracket(rising, reverse_ais(RBM, theta, samples, ladder=ladder, mean=mean, seed=seed))


@torch.no_grad()
def levels(theta: Rbm, x: Tensor) -> Tensor:
    """log p*(x) of cases [N, D], in float64: [R, N]."""
    theta = Rbm(*(part.double() for part in theta))
    return torch.cat([log_unnormalised(theta, part[None].double()) for part in x.split(CHUNK)], -1)


def bracket_numbers(found: Bracket, level: Tensor) -> Numbers:
    """log Z and the mean log-likelihood of cases whose log p* is `level` [1, N]: both ends and the middle, in nats.

    The standard error of an end is a third of how far its interval reaches outwards: that of log Z, but where few
    weights would leave the end open (`partition_estimate.SURE`). That of the middle log-likelihood comes from the
    cases; that of the middle log Z is the largest of the ends' and half their distance.
    """
    height, n = level.mean().item(), level.shape[-1]
    over_cases = level.std().item() / n**0.5
    low, high = found.rising.log_z.item(), found.falling.log_z.item()
    outward = ((low - found.lower.item()) / 3, (found.upper.item() - high) / 3)
    middle = (low + high) / 2
    either_way = max(abs(high - low) / 2, *outward)
    told = f"log Z from {found.lower.item():.2f} to {found.upper.item():.2f} by AIS and reverse AIS"
    effective = [f"{end.ess.item():.0f} effective" for end in found]
    return {
        "log_z": (middle, either_way, 0, told),
        f"log_z/{AIS}": (low, outward[0], 0, effective[0]),
        f"log_z/{REVERSE}": (high, outward[1], 0, effective[1]),
        "log_likelihood": (height - middle, over_cases, n, told),
        f"log_likelihood/{AIS}": (height - low, outward[0], n, effective[0]),
        f"log_likelihood/{REVERSE}": (height - high, outward[1], n, effective[1]),
    }


@dataclass(frozen=True)
class UndirectedTop:
    """A sigmoid belief network whose prior is an RBM: its bound, log Z of the machine on top plugged in."""

    training: UndirectedTopSettings
    annealing: Annealing
    test_cases: int
    module: str = "training/undirected_top.py"

    @property
    def multiply_adds(self) -> float:
        s = self.training
        pixels = PIXELS * (s.hidden * 4 + s.baseline_units * 2)
        return 1.0 * s.batch_size * (pixels + (s.steps + 2) * 2 * s.hidden * s.top)

    @property
    def name(self) -> str:
        return _named((*self.annealing, self.test_cases))

    def train(self, data: MnistSplits, folder: Path, **options: Any) -> TrainResult[Any]:
        return undirected_top.train(self.training, data, folder, **options)

    def measure(self, net: DeepBeliefNet, data: MnistSplits) -> Numbers:
        x, seed = held_out(data, self.test_cases), self.training.seeds[0]
        ladder = uniform_ladder(self.annealing.rungs)
        log_z = top_log_partition(net, data.train, ladder=ladder, chains=self.annealing.chains, seed=seed)
        found = estimate_bound(net, x, log_z, seed=seed, name="test")
        told = f"log Z by {log_z.method}, from {log_z.lower.item():.2f} to {log_z.upper.item():.2f}"
        bound, spread = found.bound, (log_z.upper - log_z.lower).item() / 6
        return {
            "bound": (bound.value.item(), bound.stderr.item(), bound.n, told),
            "log_z": (log_z.log_z.item(), spread, 0, log_z.method),
        }


def _named(sizes: tuple[Any, ...]) -> str:
    return settings_hash({"sizes": sizes, "code": code_hash(of=CODE)})
