"""What training an unnormalised model is: everything that can change its numbers, checked and hashed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from nvil_repro.learning.contrastive_divergence import steps_at
from nvil_repro.learning.criteria import CRITERIA, Amounts
from nvil_repro.learning.fast_weights import DECAY
from nvil_repro.learning.pseudolikelihood import MOST
from nvil_repro.training import likelihood
from nvil_repro.training.likelihood import SeedSettings
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from nvil_repro.training.unnormalised_plan import PERSISTENT, RbmPlan

CHAINS = ("naive", "cd", *PERSISTENT)  # negative phases by Markov chains
LIKELIHOOD = ("exact", *CHAINS)  # criteria that follow the gradient of the likelihood
KEPT = (*PERSISTENT, "self_contrastive")  # criteria with chains that go on from update to update
COMPILED = ("cd", *PERSISTENT)  # what there is a kernel for

LEAST = {
    **dict.fromkeys(("hidden", "steps", "chains", "temperatures", "batch_size", "block", "chunk"), 1),
    **dict.fromkeys(("rate", "weight_decay", "fast_rate", "fast_decay", "offset_rate", "scale"), 0.0),
    **{"annealed_chains": 2, "rungs": 2, "exact_units": 0},
}


@dataclass(frozen=True)
class UnnormalisedSettings(SeedSettings):
    """Training a model known up to Z, a replica per seed; defaults are ours.

    `criterion` names the negative phase: "exact" (enumerated), "naive" (Algorithm 18.1: `chains` fair chains with
    `steps` of burn-in at every update), "cd" (18.2), "pcd" (18.3) or "fpcd" (with fast weights) of `steps` Gibbs
    steps, `growing` from 1 to `steps` along training; or it is one of `learning.criteria`, which have none. Chains that
    persist are those of parallel tempering where there are two `temperatures` or more.
    `rate` multiplies means over the minibatch, as the literature of RBMs has it, and with `falling` goes linearly to
    zero at `updates`; `weight_decay` shrinks the weights by rate x weight_decay an update.
    While training, log Z is exact if the model's smaller side has at most `exact_units` bits, else annealed by
    `annealed_chains` chains over `rungs` rungs.
    Of the settings only `checkpoint_seconds` is outside the hash; a start of your own is none of them, see
    `unnormalised.train`. Errors: `SettingsError`.
    """

    family: str = "RBM"
    hidden: int = 500  # unread by families without hidden units
    criterion: str = "pcd"
    steps: int = 1
    growing: bool = False
    chains: int = 100  # a temperature
    temperatures: int = 1
    updates: int = 60_000  # 100 passes over 60,000 cases
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=Optimiser)
    rate: float = 0.05
    falling: bool = True
    weight_decay: float = 0.0
    fast_rate: float = 0.05
    fast_decay: float = DECAY
    centred: bool = False  # the Bernoulli RBM only
    offset_rate: float = 0.01
    amounts: Amounts = field(default_factory=Amounts)  # what criteria of `learning.criteria` draw
    block: int = 2  # units of a set, neighbours, in generalised_pseudolikelihood
    fixed: tuple[str, ...] = ()  # parameters that stay as they began, such as "log_sd"
    scale: float = 0.01  # standard deviation of the weights at the start
    batch_size: int = 100
    eval_every: int = 600
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    exact_units: int = 12
    annealed_chains: int = 50
    rungs: int = 1000
    chunk: int = 600  # updates between estimates of the training objective
    dtype: str = "float32"
    engine: str = "auto"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        likelihood.check_settings(self, LEAST)
        if not isinstance(self.optimiser, Optimiser) or self.optimiser.centre:
            raise SettingsError(
                f'optimiser={self.optimiser!r}: expected an Optimiser without a centre; write Optimiser("adam"), '
                "and centred=True for a centred machine"
            )
        for name, allowed in (
            ("criterion", (*LIKELIHOOD, *CRITERIA)),
            ("engine", ("auto", "kernel", "torch")),
        ):
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        for name, most in (("fast_decay", 1), ("offset_rate", 1), ("block", MOST)):
            if getattr(self, name) > most:
                raise SettingsError(f"{name}={getattr(self, name)}: expected at most {most}")
        _check_amounts(self.amounts)
        if self.temperatures > 1 and self.criterion not in KEPT:
            raise SettingsError(
                f"temperatures={self.temperatures} with criterion={self.criterion!r}: only chains that persist are "
                f"tempered; choose one of {', '.join(KEPT)}"
            )
        if self.centred and self.family != "RBM":
            raise SettingsError(f"centred=True for family={self.family!r}: only the RBM is centred")
        if self.centred and self.fixed:
            raise SettingsError(
                f"fixed={self.fixed!r} with centred=True: a centred step of one parameter moves the others; set "
                "centred=False, or fix nothing"
            )
        if self.engine == "kernel" and not self.has_kernel:
            raise SettingsError(
                f"engine='kernel': expected a float32 RBM by {', '.join(COMPILED)} at one temperature, nothing fixed, "
                "and numba; set engine='auto'"
            )

    @property
    def has_kernel(self) -> bool:
        """Whether the compiled road knows this training, and can be taken here."""
        plain = self.temperatures == 1 and self.dtype == "float32" and not self.fixed
        known = self.family == "RBM" and self.criterion in COMPILED and plain
        return known and find_spec("numba") is not None

    @property
    def resolved_engine(self) -> str:
        """`kernel` or `torch`: of the same uniforms, their numbers agree to rounding only, so the hash holds which."""
        if self.engine == "auto":
            return "kernel" if self.has_kernel else "torch"
        return self.engine

    @property
    def plan(self) -> RbmPlan:
        return RbmPlan(
            self.criterion,
            self.optimiser,
            self.weight_decay,
            self.fast_rate,
            self.fast_decay,
            self.centred,
            self.offset_rate,
            self.fixed,
        )

    def steps_at(self, update: int) -> int:
        """k at `update`, from 0."""
        return steps_at(update, self.updates, self.steps) if self.growing else self.steps

    def rate_at(self, update: int) -> float:
        """The rate at `update`, from 0."""
        return self.rate * (1 - update / self.updates) if self.falling else self.rate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, only what can change a number."""
        named: Mapping[str, Any] = super().to_dict()
        return {**named, "engine": self.resolved_engine}


def _check_amounts(amounts: Any) -> None:
    if not isinstance(amounts, Amounts):
        raise SettingsError(
            f"amounts={amounts!r}: expected Amounts of learning.criteria; write Amounts(noise=10)"
        )
    for name, count in (("units", 1 if amounts.units is None else amounts.units), ("noise", amounts.noise)):
        if type(count) is not int or count < 1:
            raise SettingsError(f"amounts.{name}={count!r}: expected an integer of at least 1")
    if type(amounts.sd) not in (int, float) or not 0 < amounts.sd < math.inf:
        raise SettingsError(f"amounts.sd={amounts.sd!r}: expected a finite number above 0")
