"""The experiments and how large each is: `smoke` (Run All in under a minute),
`quick` (all of it in minutes), `paper`.

A new experiment is a settings class and one `Experiment` entry; notebook parameters, command line, workflow,
comparison and report follow from it. Sizes are layers in the order of the code, h^1 first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from nvil_repro.reproduction.rules import Count, Network, Networks, Seed, Seeds, one_of, several, whole

PROFILES = ("smoke", "quick", "paper")

# The five curves of Figure 1, best to worst as printed.
VARIANTS = ("full", "baseline_vn", "baseline", "vn", "none")


class Protocol(NamedTuple):
    """How parameters move. Rates multiply gradients *summed* over the minibatch, as in the paper; they are
    divided by ten after the fraction `anneal_at` of the updates.
    """

    optimiser: str
    rate: float
    inference_rate: float
    momentum: float = 0.0
    anneal_at: float = 1.0


PROTOCOLS = {
    "literal": Protocol("sgd", rate=3e-4, inference_rate=6e-5),
    "quick": Protocol("sgd", rate=3e-3, inference_rate=6e-4),
    "improved": Protocol("momentum", rate=3e-4, inference_rate=6e-5, momentum=0.9, anneal_at=0.8),
}

Binarisation = Annotated[str, one_of("auto", "fixed", "pinned")]
# The others' gradients are measured where the full method arrived.
Variants = Annotated[tuple[str, ...], several(one_of(*VARIANTS), including="full")]
Protocols = Annotated[tuple[str, ...], several(one_of(*PROTOCOLS))]
Batch = Annotated[int, whole(1, 59_900)]  # as many as there are training cases
TestCases = Annotated[int, whole(2, 10_000)]  # a standard error needs two
BoundSamples = Annotated[int, whole(2)]
GradientSamples = Annotated[int, whole(3)]  # a variance's standard error needs three


class Figure(NamedTuple):
    """A picture a notebook saves: the stem of its files and the caption of the report."""

    name: str
    caption: str


@dataclass(frozen=True)
class Experiment:
    """A notebook, its settings in each profile, what it leaves behind, and the most threads it can use."""

    name: str
    notebook: str
    title: str
    profiles: Mapping[str, Any]
    figures: tuple[Figure, ...] = ()
    threads: int = 2

    def products(self, results: Path) -> list[Path]:
        """The files that its notebook leaves in the folder `results`: rows and figures."""
        pictures = [f"{figure.name}.{kind}" for figure in self.figures for kind in ("svg", "png")]
        return [results / f"{self.name}.csv", *(results / "figures" / name for name in pictures)]


@dataclass(frozen=True)
class Quickstart:
    """One small net, from nothing to its samples, bound and filters."""

    layers: Network
    updates: Count
    batch: Batch
    protocol: Annotated[str, one_of(*PROTOCOLS)]
    seed: Seed
    eval_every: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    binarisation: Binarisation


@dataclass(frozen=True)
class VarianceReduction:
    """Figure 1: every variant on every network, all seeds side by side."""

    networks: Networks
    variants: Variants
    protocols: Protocols
    seeds: Seeds
    updates: Count
    batch: Batch
    eval_every: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    gradient_samples: GradientSamples
    binarisation: Binarisation


_quickstart = Quickstart(
    layers=(200,),
    updates=40_000,
    batch=20,
    protocol="quick",
    seed=0,
    eval_every=1_000,
    bound_samples=10,
    test_cases=10_000,
    binarisation="auto",
)
_variance_reduction = VarianceReduction(
    networks=((200,), (200, 200)),
    variants=VARIANTS,
    protocols=("literal", "quick"),
    seeds=(0, 1),
    updates=15_000,
    batch=20,
    eval_every=1_000,
    bound_samples=10,
    test_cases=10_000,
    gradient_samples=200,
    binarisation="auto",
)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            name="quickstart",
            notebook="00_quickstart.ipynb",
            title="Quick start",
            profiles={
                "smoke": replace(_quickstart, updates=4_000, eval_every=500, test_cases=1_000),
                "quick": _quickstart,
                "paper": replace(_quickstart, updates=2_000_000, eval_every=20_000, protocol="literal"),
            },
            figures=(
                Figure("quickstart_bound", "Validation bound while the net trains."),
                Figure(
                    "quickstart_samples",
                    "What the trained net draws: pixel probabilities given h from the prior.",
                ),
                Figure("quickstart_filters", "Weights of the visible layer, one picture a hidden unit."),
            ),
            threads=1,
        ),
        Experiment(
            name="variance_reduction",
            notebook="01_variance_reduction.ipynb",
            title="Variance reduction (Figure 1)",
            profiles={
                "smoke": replace(
                    _variance_reduction,
                    protocols=("quick",),
                    seeds=(0,),
                    updates=2_000,
                    eval_every=200,
                    test_cases=500,
                    gradient_samples=20,
                ),
                "quick": _variance_reduction,
                "paper": replace(
                    _variance_reduction,
                    protocols=("literal", "improved"),
                    seeds=(0, 1, 2),
                    updates=2_000_000,
                    eval_every=20_000,
                    gradient_samples=1_000,
                ),
            },
            figures=(
                Figure(
                    "variance_reduction",
                    "Validation bound against updates, as in Figure 1; band: range over seeds.",
                ),
                Figure("gradient_variance", "Measured variance of the gradient estimate of each variant."),
            ),
        ),
    )
}


def known_profile(name: str) -> str:
    """`name`, if it is a profile. Errors: `ValueError` with the allowed ones."""
    if name not in PROFILES:
        raise ValueError(f'unknown profile "{name}"; expected one of {", ".join(PROFILES)}')
    return name


def known_experiment(name: str) -> Experiment:
    """The experiment called `name`. Errors: `ValueError` with the allowed ones."""
    if name not in EXPERIMENTS:
        raise ValueError(f'unknown experiment "{name}"; expected one of {", ".join(EXPERIMENTS)}')
    return EXPERIMENTS[name]
