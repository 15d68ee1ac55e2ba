"""What can be set of the experiments on undirected models; see `settings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nvil_repro.reproduction.naming import CRITERION, ENUMERATED, MACHINE, SAMPLER
from nvil_repro.reproduction.rules import Count, Seeds, matching, one_of, positive, several, whole
from nvil_repro.reproduction.settings import Binarisation, Several, TestCases

Samplers = Annotated[
    tuple[str, ...], several(matching(SAMPLER, 'a name such as "exact", "CD25" or "centred PCD"'))
]
Machines = Annotated[
    tuple[str, ...], several(matching(MACHINE, 'a name such as "CD25" or "centred PCD, 200 passes"'))
]
Criteria = Annotated[
    tuple[str, ...], several(matching(CRITERION, 'a name such as "pseudolikelihood" or "CD1"'))
]
Enumerated = Annotated[
    tuple[str, ...],
    several(matching(ENUMERATED, 'a name such as "pseudolikelihood" or "CD1"'), including="exact"),
]
Enumerable = Annotated[int, whole(1, 20)]  # 2^20 states are `evaluation.exact.LIMIT`
Ladder = Annotated[str, one_of("uniform", "sm2008", "adaptive")]
Rates = Annotated[tuple[float, ...], several(positive())]
Rungs = Annotated[tuple[int, ...], several(whole(2))]


@dataclass(frozen=True)
class RbmTraining:
    """RBMs by the gradient of the likelihood (Deep Learning 18.1, 18.2): on bars and stripes, where everything is
    enumerated, and on MNIST.

    `exact_hidden` units make a machine on MNIST whose Z is enumerated too. The ladder of annealed importance sampling
    has `rungs` values; "sm2008" brings its own.
    """

    line_updates: Count  # of the machine on a line of Figure 18.1
    pattern_samplers: Samplers
    pattern_hidden: Count
    pattern_updates: Count
    pattern_seeds: Seeds
    samplers: Machines
    hidden: Count
    exact_hidden: Enumerable
    passes: Count  # over the training cases, of machines whose name does not say how many
    top_units: Count  # of the undirected top layer and the one below it
    top_passes: Count  # of the belief network under an undirected top layer
    seeds: Seeds
    evaluations: Count
    chains: Several
    ladder: Ladder
    rungs: Several
    test_cases: TestCases
    reverse_cases: TestCases  # whose log p RAISE estimates, by chains run backwards
    binarisation: Binarisation


@dataclass(frozen=True)
class WithoutPartition:
    """Criteria that need no Z (18.3 to 18.6): on patterns that can be enumerated, on reals, and on MNIST.

    Each learns by Adam at every one of the rates.
    """

    criteria: Enumerated
    pattern_hidden: Count
    pattern_updates: Count
    pattern_rates: Rates
    pattern_seeds: Seeds
    draws: Annotated[
        int, whole(3)
    ]  # minibatches from which the noise of a gradient and its time are measured
    mnist_criteria: Criteria
    hidden: Count
    passes: Count
    mnist_rates: Rates
    units: Annotated[int, whole(1, 784)]  # pixels that a criterion on MNIST visits a case
    seeds: Seeds
    evaluations: Count
    chains: Several
    rungs: Several
    test_cases: TestCases
    reverse_cases: TestCases  # from which chains run backwards
    binarisation: Binarisation


@dataclass(frozen=True)
class PartitionFunction:
    """Estimates of Z (18.7), of a machine that is enumerated and of one that is not, both trained on MNIST by PCD."""

    exact_hidden: Enumerable
    hidden: Count
    passes: Count
    seeds: Seeds
    evaluations: Count
    chains: Several
    burn_in: Count  # Gibbs steps from test cases to samples of the machine that is not enumerated
    rungs: Rungs  # lengths of ladders, each estimated
    trials: Several  # seeded repetitions of each estimate, of the machine that is enumerated
    trial_rungs: Several
    tracked_updates: Count  # of training, along which log Z is tracked
    tracked_rates: Rates  # a training each
    tracked_points: Count  # where it is enumerated meanwhile
    test_cases: TestCases
    reverse_cases: TestCases  # that chains run backwards from
    binarisation: Binarisation
