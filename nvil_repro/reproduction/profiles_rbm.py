"""The experiments on undirected models (Deep Learning, chapter 18), and how large each is; see `profiles`."""

from __future__ import annotations

from dataclasses import replace

from nvil_repro.reproduction.experiment import Experiment, Figure
from nvil_repro.reproduction.settings_rbm import PartitionFunction, RbmTraining, WithoutPartition

_training = RbmTraining(
    pattern_samplers=("exact", "naive", "CD1", "CD10", "PCD", "FPCD", "tempered PCD"),
    pattern_hidden=8,
    pattern_updates=3_000,
    samplers=("CD1", "CD3", "CD25", "PCD", "FPCD", "centred PCD"),
    hidden=100,
    exact_hidden=12,
    passes=2,
    top_passes=1,
    seeds=(0,),
    evaluations=4,
    chains=100,
    ladder="uniform",
    rungs=1_000,
    test_cases=2_000,
    reverse_cases=100,
    binarisation="auto",
)
_without = WithoutPartition(
    criteria=(
        *("exact", "CD1", "PCD", "pseudolikelihood", "generalised pseudolikelihood", "ratio matching"),
        *("noise contrastive", "self-contrastive", "minimum probability flow"),
    ),
    pattern_hidden=8,
    pattern_updates=3_000,
    draws=200,
    mnist_criteria=("PCD", "pseudolikelihood", "ratio matching", "minimum probability flow"),
    hidden=100,
    passes=2,
    rate=0.05,
    seeds=(0,),
    evaluations=4,
    chains=100,
    rungs=1_000,
    test_cases=2_000,
    binarisation="auto",
)
_partition = PartitionFunction(
    exact_hidden=12,
    hidden=100,
    passes=2,
    seeds=(0,),
    chains=100,
    rungs=(10, 30, 100, 300, 1_000),
    trials=20,
    trial_rungs=100,
    test_cases=2_000,
    reverse_cases=100,
    binarisation="auto",
)

RBM_EXPERIMENTS = (
    Experiment(
        name="rbm_training",
        notebook="06_rbm_training.ipynb",
        title="RBMs by the likelihood gradient (chapter 18.1, 18.2)",
        profiles={
            "smoke": replace(
                _training,
                pattern_updates=500,
                samplers=("CD1", "PCD"),
                hidden=20,
                passes=1,
                evaluations=2,
                rungs=100,
                test_cases=500,
                reverse_cases=20,
            ),
            "quick": _training,
            "paper": replace(
                _training,
                pattern_updates=20_000,
                hidden=500,
                exact_hidden=20,
                passes=100,
                top_passes=50,
                evaluations=20,
                ladder="sm2008",
                test_cases=10_000,
                reverse_cases=1_000,
            ),
        },
        figures=(
            Figure("phases", "The two phases of the gradient (Figure 18.1): model and data on a line."),
            Figure("patterns", "Exact log-likelihood on bars and stripes, by negative phase."),
            Figure("spurious_modes", "What the machines believe in far from all data."),
            Figure("rbm_curves", "Validation log-likelihood on MNIST while the machines train."),
            Figure(
                "rbm_brackets", "Test log-likelihood on MNIST between its two estimates; crosses: printed."
            ),
            Figure("rbm_samples", "What fresh chains draw from each machine."),
        ),
        threads=32,
    ),
    Experiment(
        name="without_partition",
        notebook="07_without_the_partition_function.ipynb",
        title="Criteria without the partition function (chapter 18.3 to 18.6)",
        profiles={
            "smoke": replace(
                _without,
                pattern_updates=500,
                draws=30,
                mnist_criteria=("PCD", "pseudolikelihood"),
                hidden=20,
                passes=1,
                evaluations=2,
                rungs=100,
                test_cases=500,
            ),
            "quick": _without,
            "paper": replace(
                _without,
                pattern_updates=20_000,
                draws=2_000,
                hidden=500,
                passes=20,
                evaluations=20,
                rungs=10_000,
                test_cases=10_000,
            ),
        },
        figures=(
            Figure("criteria", "Exact log-likelihood on bars and stripes, by criterion."),
            Figure("gradients", "Each criterion's gradient beside that of the likelihood: angle and noise."),
            Figure("reals", "Densities on a plane learned by score matching."),
            Figure("criteria_mnist", "Validation log-likelihood on MNIST of the criteria that scale."),
        ),
        threads=32,
    ),
    Experiment(
        name="partition_function",
        notebook="08_partition_function.ipynb",
        title="Estimating the partition function (chapter 18.7)",
        profiles={
            "smoke": replace(
                _partition,
                hidden=20,
                passes=1,
                rungs=(10, 30, 100),
                trials=5,
                trial_rungs=30,
                test_cases=500,
                reverse_cases=20,
            ),
            "quick": _partition,
            "paper": replace(
                _partition,
                exact_hidden=20,
                hidden=500,
                passes=100,
                rungs=(10, 30, 100, 300, 1_000, 3_000, 10_000),
                trials=200,
                trial_rungs=1_000,
                test_cases=10_000,
                reverse_cases=1_000,
            ),
        },
        figures=(
            Figure("estimates", "Every estimate of log Z beside the exact value."),
            Figure("brackets", "log Z from below and from above against the number of temperatures."),
            Figure("coverage", "How often each interval covers the exact log Z."),
            Figure("tracking", "log Z tracked while a machine trains, beside the exact value."),
        ),
        threads=32,
        after=("rbm_training",),
    ),
)
