"""The experiments and how large each is: `smoke` (Run All in under a minute), `quick` (all of it in minutes), `paper`.

Chapter 18's are in `profiles_rbm`. A new experiment is a settings class and one `Experiment` entry; notebook
parameters, command line, workflow, comparison and report follow from it. Sizes are layers in the order of the code,
h^1 first.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from nvil_repro.reproduction.experiment import PROFILES, Experiment, Figure
from nvil_repro.reproduction.profiles_rbm import RBM_EXPERIMENTS
from nvil_repro.reproduction.protocols import AUTOREGRESSIVE, NVIL, VARIANTS, WAKE_SLEEP
from nvil_repro.reproduction.settings import (
    BoundTable,
    ContinuousLatents,
    DocumentTable,
    InferenceTable,
    Quickstart,
    VarianceReduction,
)

_quickstart = Quickstart(
    layers=(200,),
    updates=40_000,
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
    one_seed=(),
    updates=15_000,
    eval_every=1_000,
    factors=(1.0, 3.0, 10.0, 30.0),
    search_updates=3_000,
    bound_samples=10,
    test_cases=10_000,
    gradient_samples=200,
    variance_at=(0, 500, 1_500, 5_000),
    binarisation="auto",
)

_table_1 = BoundTable(
    models=("SBN 200", "SBN 200-200", "fDARN 200", "mixture of Bernoullis 100"),
    columns=(NVIL, WAKE_SLEEP),
    protocols=("balanced",),
    passes=(4,),
    seeds=((0,),),
    one_seed=(),
    left_out=(),
    evaluations=4,
    bound_samples=10,
    test_cases=2_000,
    importance_samples=500,
    importance_cases=100,
    timed_updates=100,
    binarisation="auto",
)
_EXACT = ("mixture of Bernoullis 500", "NADE 500")
_SBNS = ("SBN 200", "SBN 500", "SBN 200-200", "SBN 200-200-200", "SBN 200-200-500")
# "patient" takes long: it is for those furthest above their printed bounds under "balanced", two, and one in Table 2.
_NEARER = ("SBN 200", "SBN 500", "SBN 200-200", "SBN 200-200-200", "fDARN 200")
_SMOKE: dict[str, Any] = {"test_cases": 500, "importance_samples": 100, "importance_cases": 50}
_PAPER: dict[str, Any] = {
    "protocols": ("balanced", "patient", "literal"),
    "passes": (330, 660, 200),
    "seeds": ((0, 1, 2), (0,), (0, 1, 2)),
    "one_seed": (),
    "evaluations": 60,
    "test_cases": 10_000,
    "importance_samples": 5_000,
    "importance_cases": 1_000,
    "timed_updates": 1_000,
}
_table_2 = InferenceTable(
    **{**asdict(_table_1), "models": ("SBN 200", "SBN 200-200-200"), "columns": (NVIL, AUTOREGRESSIVE)}
)
_continuous = ContinuousLatents(
    estimators=("full", "baseline", "none", "pathwise"),
    gaussian_units=20,
    binary_units=200,
    hidden=(200, 200),
    decoder=(200,),
    rate=1e-3,
    batch=100,
    seeds=(0,),
    updates=2_500,
    eval_every=250,
    bound_samples=10,
    test_cases=2_000,
    importance_samples=200,
    importance_cases=100,
    gradient_samples=50,
    binarisation="auto",
)

_documents = DocumentTable(
    corpora=("20news",),
    # No Gibbs LDA, for which ten passes are too few.
    systems=("unigram", "LDA 50", "Replicated softmax 50", "fDARN 50", "SBN 50", "DocNADE 50"),
    protocols=("quick",),
    passes=(40,),
    seeds=((0,),),
    one_seed=(),
    left_out=(),
    other_passes=10,
    evaluations=10,
    train_documents=1_000_000,
    test_documents=1_000,
    bound_samples=10,
    importance_samples=100,
    importance_documents=200,
    orders=3,
    particles=100,
    chains=50,
    rungs=500,
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
                    variance_at=(0, 500),
                ),
                "quick": _variance_reduction,
                "paper": replace(
                    _variance_reduction,
                    protocols=("literal", "tuned"),
                    seeds=(0, 1, 2),
                    one_seed=(),
                    updates=1_000_000,
                    eval_every=20_000,
                    search_updates=50_000,
                    gradient_samples=1_000,
                    variance_at=(0, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000),
                ),
            },
            figures=(
                Figure(
                    "variance_reduction",
                    "Validation bound against updates, as in Figure 1; band: range over seeds.",
                ),
                Figure("gradient_variance", "Measured variance of the gradient estimate of each variant."),
                Figure("variance_over_training", "The same while the full method trains, layer by layer."),
            ),
        ),
        Experiment(
            name="nvil_vs_wake_sleep",
            notebook="02_nvil_vs_wake_sleep.ipynb",
            title="NVIL and wake-sleep (Table 1)",
            profiles={
                "smoke": replace(
                    _table_1,
                    models=("SBN 200", "mixture of Bernoullis 20"),
                    passes=(1,),
                    evaluations=3,
                    **_SMOKE,
                ),
                "quick": _table_1,
                "paper": replace(
                    _table_1,
                    models=(*_SBNS, "fDARN 200", "fDARN 500", *_EXACT),
                    left_out=tuple(f"{name} patient" for name in (WAKE_SLEEP, *_NEARER)),
                    **_PAPER,
                ),
            },
            figures=(
                Figure("table_1", "Test bounds: printed, ours, and our importance-weighted estimates."),
                Figure("table_1_updates", "Validation bound against updates; band: range over seeds."),
                Figure(
                    "table_1_time",
                    "Validation bound against minutes: updates times what one costs on one thread.",
                ),
                Figure("table_1_samples_NVIL", "What the nets trained by NVIL draw."),
                Figure("table_1_samples_wake-sleep", "What the nets trained by wake-sleep draw."),
                Figure("table_1_samples_exact", "What models draw that are trained on the exact likelihood."),
                Figure("table_1_filters", "Weights of the visible layer, a picture a hidden unit."),
            ),
            threads=32,
        ),
        Experiment(
            name="autoregressive_inference",
            notebook="03_autoregressive_inference.ipynb",
            title="Autoregressive inference networks (Table 2)",
            profiles={
                "smoke": replace(_table_2, models=("SBN 200",), passes=(1,), evaluations=3, **_SMOKE),
                "quick": _table_2,
                "paper": replace(
                    _table_2,
                    models=tuple(m for m in _SBNS if m != "SBN 200-200"),
                    left_out=tuple(f"{name} patient" for name in (NVIL, *_SBNS[1:2], *_SBNS[3:])),
                    **_PAPER,
                ),
            },
            figures=(
                Figure("table_2", "Test bounds: printed, ours, and our importance-weighted estimates."),
                Figure("table_2_updates", "Validation bound against updates; band: range over seeds."),
                Figure(
                    "table_2_time",
                    "Validation bound against minutes: updates times what one costs on one thread.",
                ),
                Figure(
                    "table_2_weights", "Weights of the inference network between units of the first layer."
                ),
                Figure("table_2_samples", "What the nets trained with an autoregressive Q draw."),
            ),
            threads=32,
            after=("nvil_vs_wake_sleep",),
        ),
        Experiment(
            name="document_perplexity",
            notebook="04_document_perplexity.ipynb",
            title="Document modelling (Table 3)",
            profiles={
                "smoke": replace(
                    _documents,
                    systems=("unigram", "SBN 50", "DocNADE 50"),
                    passes=(25,),
                    other_passes=10,
                    evaluations=4,
                    train_documents=2_000,
                    test_documents=200,
                    importance_samples=20,
                    importance_documents=50,
                ),
                "quick": _documents,
                "paper": replace(
                    _documents,
                    corpora=("20news", "20news-raw", "reuters21578", "reuters21578-10000"),
                    systems=(
                        *("unigram", "LDA 50", "LDA 200", "Gibbs LDA 50", "Gibbs LDA 200"),
                        *("Replicated softmax 50", "fDARN 50", "fDARN 200", "SBN 50", "DocNADE 50"),
                    ),
                    protocols=("improved", "literal", "literal-rcv1"),
                    passes=(1_000, 300, 300),
                    seeds=((0, 1, 2),) * 3,
                    one_seed=("reuters21578-10000",),
                    left_out=("reuters21578-10000 literal", "reuters21578-10000 literal-rcv1"),
                    other_passes=1_000,
                    evaluations=50,
                    test_documents=1_000_000,
                    importance_samples=1_000,
                    importance_documents=1_000,
                    orders=10,
                    particles=200,
                    chains=1_000,
                    rungs=1_000,
                ),
            },
            figures=(
                Figure(
                    "perplexity",
                    "Test perplexity over that of the unigram model; of a stand-in nothing is printed.",
                ),
                Figure("perplexity_curves", "Validation perplexity while the systems train."),
            ),
            threads=32,
        ),
        Experiment(
            name="continuous_latents",
            notebook="05_continuous_latents.ipynb",
            title="Gaussian latents and deep inference networks",
            profiles={
                "smoke": replace(_continuous, updates=400, eval_every=50, gradient_samples=10, **_SMOKE),
                "quick": _continuous,
                "paper": replace(
                    _continuous,
                    seeds=(0, 1, 2),
                    updates=20_000,
                    eval_every=1_000,
                    test_cases=10_000,
                    importance_samples=1_000,
                    importance_cases=500,
                    gradient_samples=500,
                ),
            },
            figures=(
                Figure(
                    "continuous_curves",
                    "Validation bound: Gaussian latents by every estimator, bits under either inference network.",
                ),
                Figure("continuous_variance", "Gradient variance of every estimator at equal parameters."),
                Figure(
                    "continuous_samples",
                    "What Gaussian latents draw, trained by NVIL and by reparameterisation.",
                ),
            ),
            threads=32,
        ),
        *RBM_EXPERIMENTS,
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
