"""RBMs by the names of their negative phases, "exact", "naive", "CD25" or "centred PCD", as settings of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.runs import run_folder
from nvil_repro.training.unnormalised_settings import UnnormalisedSettings

BATCH = 100
RATE = 0.05  # falls linearly, to zero at the end
FAST_RATE = 0.01  # of fast weights, which does not fall
BURN_IN = 10  # steps of naive chains
TEMPERATURES = 5
SHORT = 3  # CD of more steps than these begins with one and grows, as Salakhutdinov & Murray (2008) did
RUNGS = 10  # a hidden unit, of the annealing that follows a machine while it trains
ROUND = 50  # lengths of runs are multiples of this many updates
MODULE = "training/unnormalised.py"


def sampler_settings(name: str, **others: Any) -> UnnormalisedSettings:
    """Those of a negative phase by its name (`naming.SAMPLER`); `others` pass through and come first."""
    how, _, kind = name.rpartition(" ")
    own: dict[str, Any] = {"criterion": kind.lower(), "centred": how == "centred"}
    if kind.startswith("CD"):
        steps = int(kind.removeprefix("CD"))
        own |= {"criterion": "cd", "steps": steps, "growing": steps > SHORT}
    elif kind == "naive":
        own |= {"steps": BURN_IN}
    elif how == "tempered":
        own |= {"temperatures": TEMPERATURES}
    return UnnormalisedSettings(**own | {"rate": RATE, "fast_rate": FAST_RATE} | others)


def mnist_settings(
    name: str, *, hidden: int, passes: int, evaluations: int, seed: int, cases: int
) -> UnnormalisedSettings:
    """A machine on `cases` training cases by its name (`naming.MACHINE`), for `passes` unless the name says how many.

    The notebooks ask for the same ones, so that they are trained once.
    """
    name, _, own = name.partition(", ")
    updates = whole(int(own.removesuffix(" passes") or passes) * cases / BATCH)
    every = whole(updates / evaluations)
    sizes = {
        "hidden": hidden,
        "updates": updates,
        "batch_size": BATCH,
        "chains": BATCH,
        "rungs": RUNGS * hidden,
    }
    return sampler_settings(name, **sizes, seeds=(seed,), eval_every=every, chunk=every)


def whole(updates: float) -> int:
    """The nearest multiple of `ROUND`, at least one."""
    return max(1, round(updates / ROUND)) * ROUND


def machine_folder(run: Run, dataset: str, name: str, settings: UnnormalisedSettings) -> Path:
    """Where a machine keeps its checkpoints, the same for every notebook that trains it."""
    label = f"RBM {settings.hidden}, {name}, seed {'-'.join(map(str, settings.seeds))}"
    return run_folder(run, dataset, label, settings, MODULE)


def multiply_adds(settings: UnnormalisedSettings, visible: int) -> float:
    """Of an update, about: the products of its Gibbs steps and of the two phases, for every seed."""
    steps = settings.steps / (2 if settings.growing else 1) * settings.temperatures
    return 2.0 * (steps + 2) * settings.batch_size * visible * settings.hidden * len(settings.seeds)
