"""What can be set of each experiment: a frozen class each, every field with the rule for a reader's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from nvil_repro.reproduction.naming import BELIEF_NETS, MODEL, SYSTEM, UNIGRAM, dims_label, parse_model
from nvil_repro.reproduction.protocols import (
    AUTOREGRESSIVE,
    DOCUMENT_PROTOCOLS,
    ESTIMATORS,
    NVIL,
    PROTOCOLS,
    VARIANTS,
    WAKE_SLEEP,
    DocumentProtocol,
)
from nvil_repro.reproduction.rules import (
    Count,
    Network,
    Networks,
    Seed,
    Seeds,
    matching,
    multiple_of,
    one_of,
    positive,
    several,
    whole,
)

Binarisation = Annotated[str, one_of("auto", "fixed", "pinned")]
# The others' gradients are measured where the full method arrived.
Variants = Annotated[tuple[str, ...], several(one_of(*VARIANTS), including="full")]
Protocols = Annotated[tuple[str, ...], several(one_of(*PROTOCOLS))]
TableProtocols = Annotated[tuple[str, ...], several(one_of("literal", "quick", "balanced", "patient"))]
Models = Annotated[tuple[str, ...], several(matching(MODEL, 'a name such as "SBN 200-500" (deepest first)'))]
Columns = Annotated[tuple[str, ...], several(one_of(NVIL, WAKE_SLEEP), including=NVIL)]
Each = Annotated[tuple[int, ...], several(whole(1), distinct=False)]
# Checked against what a run has: `nameable`.
Named = Annotated[tuple[str, ...], several(matching(".+", "a name"), at_least=0)]
EachSeeds = Annotated[tuple[tuple[int, ...], ...], several(several(whole(0)), distinct=False)]
CORPUS = r"(20news|reuters21578)(-raw)?(-[1-9]\d*)?|rcv1"
_CORPUS = matching(CORPUS, 'a corpus such as "20news-raw", "reuters21578-10000" or "rcv1"')
Corpora = Annotated[tuple[str, ...], several(_CORPUS)]
Systems = Annotated[tuple[str, ...], several(matching(SYSTEM, 'a name such as "SBN 50", or "unigram"'))]
DocumentProtocols = Annotated[tuple[str, ...], several(one_of(*DOCUMENT_PROTOCOLS))]
Several = Annotated[int, whole(2)]  # an error needs two
Updates = Annotated[tuple[int, ...], several(multiple_of(50))]
Factors = Annotated[tuple[float, ...], several(positive())]
Estimators = Annotated[tuple[str, ...], several(one_of(*ESTIMATORS), including="full")]
Batch = Annotated[int, whole(1, 59_900)]  # as many as there are training cases
TestCases = Annotated[int, whole(2, 10_000)]  # a standard error needs two
BoundSamples = Annotated[int, whole(2)]
GradientSamples = Annotated[int, whole(3)]  # a variance's standard error needs three


@dataclass(frozen=True)
class Quickstart:
    """One small net, from nothing to its samples, bound and filters."""

    layers: Network
    updates: Count
    protocol: Annotated[str, one_of("literal", "quick", "balanced")]
    seed: Seed
    eval_every: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    binarisation: Binarisation


@dataclass(frozen=True)
class VarianceReduction:
    """Figure 1: every variant on every network, all seeds side by side. Networks, protocols and panels ("SBN 200-200
    tuned") named in `one_seed` have the first seed alone.

    Under the protocol "tuned" each variant trains at the literal rates times that of `factors` which gives the best
    validation bound after `search_updates`.
    """

    networks: Networks
    variants: Variants
    protocols: Protocols
    seeds: Seeds
    one_seed: Named
    updates: Count
    eval_every: Count
    factors: Factors
    search_updates: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    gradient_samples: GradientSamples
    variance_at: Updates  # rising; those beyond `updates` are left out
    binarisation: Binarisation

    def __post_init__(self) -> None:
        """Errors: `ValueError` if `variance_at` does not rise."""
        if list(self.variance_at) != sorted(self.variance_at):
            raise ValueError(
                f"parameter variance_at = {self.variance_at!r}: expected rising updates; sort them"
            )

    @property
    def nameable(self) -> Mapping[str, set[str]]:
        """What `one_seed` can name."""
        networks = [f"SBN {dims_label(layers)}" for layers in self.networks]
        return {"one_seed": {*networks, *self.protocols, *map(" ".join, product(networks, self.protocols))}}


@dataclass(frozen=True)
class BoundTable:
    """Tables 1 and 2: models down, ways to train them across, under each of several protocols.

    `passes` and `seeds` have an entry for each protocol; models, columns and cells ("wake-sleep SBN 500") named
    in `one_seed` have the first seed alone; those named with a protocol ("wake-sleep SBN 500 literal") in `left_out`
    are not trained under it.
    """

    models: Models
    columns: Columns
    protocols: TableProtocols
    passes: Each  # over the training cases
    seeds: EachSeeds
    one_seed: Named
    left_out: Named
    evaluations: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    importance_samples: Count
    importance_cases: TestCases
    timed_updates: Count
    binarisation: Binarisation

    def __post_init__(self) -> None:
        """Errors: `ValueError` if an entry of a protocol is missing, or a column has no net left."""
        _check_each(self.protocols, passes=self.passes, seeds=self.seeds)
        for column in self.columns if self.nets else ():
            if not any(self.trains(net, column, how) for net, how in product(self.nets, self.protocols)):
                raise ValueError(
                    f"parameter left_out = {self.left_out!r}: expected a net of {column} to be left; name fewer"
                )

    @property
    def nets(self) -> list[str]:
        """The models that are belief networks."""
        return [model for model in self.models if parse_model(model)[0] in BELIEF_NETS]

    @property
    def nameable(self) -> Mapping[str, set[str]]:
        """What `one_seed` and `left_out` can name."""
        names = {name for net, column in product(self.nets, self.columns) for name in cell_names(net, column)}
        left_out = set(map(" ".join, product(names, self.protocols)))
        return {"one_seed": {*self.models, *self.columns, *names}, "left_out": left_out}

    def trains(self, net: str, column: str, protocol: str) -> bool:
        """Whether this belief network is not left out."""
        return not {f"{name} {protocol}" for name in cell_names(net, column)} & set(self.left_out)


def cell_names(model: str, column: str) -> set[str]:
    """What names this model and column of a table, by itself or among others."""
    return {model, column, f"{column} {model}"}


def _check_each(protocols: tuple[str, ...], **parameters: tuple[Any, ...]) -> None:
    for name, value in parameters.items():
        if len(value) != len(protocols):
            expected = f"an entry for each of the protocols {', '.join(protocols)}"
            raise ValueError(f"parameter {name} = {value!r}: expected {expected}")


@dataclass(frozen=True)
class ContinuousLatents:
    """Gaussian latents by several estimators, and bits under a linear and a deep inference network, all by Adam.

    `hidden` are the tanh layers of a deep inference network, `decoder` those between Gaussian latents and pixels.
    """

    estimators: Estimators
    gaussian_units: Count
    binary_units: Count
    hidden: Network
    decoder: Network
    rate: Annotated[float, positive()]
    batch: Batch
    seeds: Seeds
    updates: Count
    eval_every: Count
    bound_samples: BoundSamples
    test_cases: TestCases
    importance_samples: Count
    importance_cases: TestCases
    gradient_samples: GradientSamples
    binarisation: Binarisation


@dataclass(frozen=True)
class InferenceTable(BoundTable):
    """Table 2: NVIL with a factorial inference network beside NVIL with an autoregressive one."""

    columns: Annotated[tuple[str, ...], several(one_of(NVIL, AUTOREGRESSIVE), including=AUTOREGRESSIVE)]


@dataclass(frozen=True)
class DocumentTable:
    """Table 3: systems down, corpora across. Belief networks are trained under each of the protocols, for which
    `passes` and `seeds` have an entry; the others in one way of their own, by no more than `other_passes` and with the
    seeds of the first protocol. Corpora in `one_seed` have the first seed alone; belief networks of those named with a
    protocol ("20news literal") in `left_out` are not trained under it.
    """

    corpora: Corpora
    systems: Systems
    protocols: DocumentProtocols
    passes: Each  # over the training documents
    seeds: EachSeeds
    one_seed: Named
    left_out: Named
    other_passes: Count
    evaluations: Count
    train_documents: Count  # at most so many, random ones
    test_documents: Several  # likewise
    bound_samples: BoundSamples
    importance_samples: Count
    importance_documents: Several
    orders: Several  # of words, that DocNADE reads each document in
    particles: Count  # of LDA's left-to-right estimate
    chains: Several  # of annealed importance sampling
    rungs: Several

    def __post_init__(self) -> None:
        """Errors: `ValueError` if an entry of a protocol is missing."""
        _check_each(self.protocols, passes=self.passes, seeds=self.seeds)

    @property
    def nameable(self) -> Mapping[str, set[str]]:
        """What `one_seed` and `left_out` can name."""
        nets = any(parse_model(system)[0] in BELIEF_NETS for system in self.systems if system != UNIGRAM)
        pairs = product(self.corpora, self.protocols if nets else ())
        return {"one_seed": set(self.corpora), "left_out": set(map(" ".join, pairs))}

    def trains(self, corpus: str, protocol: str) -> bool:
        """Whether this corpus' belief networks are not left out."""
        return f"{corpus} {protocol}" not in self.left_out

    @property
    def known_protocols(self) -> Mapping[str, DocumentProtocol]:
        """What the names of `protocols` stand for."""
        return DOCUMENT_PROTOCOLS
