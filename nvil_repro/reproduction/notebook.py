"""The parameters of a notebook, checked in its first cell after them, whatever ran it.

A notebook begins with one cell tagged `parameters`: plain assignments, `profile` first, every other one None
for "as in the profile". Its next cell calls `run = parameters(globals(), "experiment")`. Papermill turns `-p
flag false` into a string and injects names it does not know with no more than a log line, so both are
refused here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from nvil_repro.files import settings_hash
from nvil_repro.reproduction.experiment import DEVICES, PROFILES, Experiment
from nvil_repro.reproduction.profiles import known_experiment
from nvil_repro.reproduction.project import project_root, results_folder
from nvil_repro.reproduction.protocols import PROTOCOLS, DocumentProtocol, Protocol
from nvil_repro.reproduction.provenance import code_version
from nvil_repro.reproduction.rules import Rule, one_of, rules_of
from nvil_repro.reproduction.settings import BoundTable, DocumentTable, Quickstart, VarianceReduction

CUSTOM = "-custom"
_CHECKED = "_cells_with_checked_parameters"
_PROFILE, _DEVICE = one_of(*PROFILES), one_of(*DEVICES)


class ParameterError(ValueError):
    """A parameter has a wrong name, type or value; the message names it and the allowed ones."""


@dataclass(frozen=True)
class Run:
    """One execution of a notebook: what is run and where it goes.

    `settings` is the experiment's frozen settings class. `profile` is the profile's name, with "-custom"
    appended when a parameter differs from it, so that such results never pass for the profile's. Rows that the
    folder `keep` holds of the same settings need not be computed again, see `cells`; rows say on what `device` their
    nets were trained.
    """

    experiment: Experiment
    profile: str
    settings: Any
    results_dir: Path
    keep: Path | None = None
    device: str = "cpu"

    @property
    def settings_hash(self) -> str:
        """Twelve hex digits: equal settings, equal digits."""
        return run_hash(self.experiment, self.settings)

    @property
    def protocols(self) -> dict[str, Protocol | DocumentProtocol]:
        """What the names of its settings' `protocols` stand for."""
        return {name: _known_protocols(self.settings)[name] for name in self.settings.protocols}


def run_hash(
    experiment: Experiment,
    settings: Any,
    used: Callable[[Any], dict[str, Any]] = lambda how: how._asdict(),
    without: Collection[str] = (),
    **changes: Any,
) -> str:
    """The settings hash of result rows, given what of the settings they have otherwise and what is no concern of
    theirs; a protocol counts with what of it is `used`.
    """
    values = {name: value for name, value in (asdict(settings) | changes).items() if name not in without}
    protocols = values.get("protocols") or [values[name] for name in ("protocol",) if name in values]
    known = _known_protocols(settings)
    rates = {name: used(known[name]) for name in protocols}
    return settings_hash({"experiment": experiment.name, "rates": rates, **values})


def _known_protocols(settings: Any) -> Mapping[str, Protocol | DocumentProtocol]:
    return getattr(settings, "known_protocols", PROTOCOLS)


def parameters(namespace: MutableMapping[str, Any], experiment: str) -> Run:
    """Check what the parameters cell of a notebook (and papermill after it) set, given its `globals()`.

    Errors: `ParameterError`, before any work.
    """
    entry = known_experiment(experiment)
    rules = rules_of(type(entry.profiles[PROFILES[0]]))
    allowed = parameter_names(entry)
    for name in sorted(_given(namespace) - set(allowed)):
        raise ParameterError(f'unknown parameter "{name}" of {experiment}; allowed: {", ".join(allowed)}')
    if "profile" not in namespace:
        raise ParameterError(
            "no parameter `profile` here: run the notebook's first code cell, tagged `parameters`, first"
        )

    profile = _read("profile", _PROFILE, namespace["profile"])
    given = {name: namespace[name] for name in rules if namespace.get(name) is not None}
    changes = {name: _read(name, rules[name], value) for name, value in given.items()}
    own = entry.profiles[profile]
    if "left_out" in rules and changes.get("protocols", own.protocols) != own.protocols:
        changes = {"left_out": ()} | changes  # what a profile leaves out is of its own protocols
    try:
        settings = replace(own, **changes)
    except ValueError as error:  # of parameters that do not fit together
        raise ParameterError(str(error)) from None
    for name, names in getattr(settings, "nameable", {}).items():
        if unknown := set(given.get(name, ())) - names:
            near = ", ".join(map(repr, get_close_matches(min(unknown), sorted(names), n=8, cutoff=0)))
            raise ParameterError(
                f"parameter {name} names {min(unknown)!r}, which this run has not; nearest of its {len(names)}: {near}"
            )
    label = profile if settings == own else profile + CUSTOM
    keep = kept_folder(namespace.get("keep"), entry)
    device = known_device(namespace.get("device"))
    run = Run(entry, label, settings, _results_dir(namespace.get("results_dir"), label), keep, device)
    if "In" in namespace:
        namespace[_CHECKED] = len(namespace["In"])
    code_version()  # now, so that rows name the code that trained, whatever is committed meanwhile
    return run


def parameter_names(experiment: Experiment) -> tuple[str, ...]:
    """In the order in which its notebook declares them. What has cells can keep rows of some; what trains replicas
    side by side can do so on a GPU.
    """
    settings = type(experiment.profiles[PROFILES[0]])
    keep = ("keep",) if issubclass(settings, (BoundTable, DocumentTable, VarianceReduction)) else ()
    device = ("device",) if issubclass(settings, (Quickstart, VarianceReduction)) else ()
    return ("profile", *rules_of(settings), *device, *keep, "results_dir")


def keeps_rows(experiment: Experiment, folder: Path) -> bool:
    """Whether the folder has rows that an experiment can keep."""
    return "keep" in parameter_names(experiment) and (folder / f"{experiment.name}.csv").is_file()


def _read(name: str, rule: Rule, value: Any) -> Any:
    try:
        return rule.read(value)
    except ValueError:
        raise ParameterError(
            f"parameter {name} = {value!r} ({type(value).__name__}): expected {rule.expects}"
        ) from None


def _results_dir(given: Any, label: str) -> Path:
    if given is None:
        return results_folder(project_root(), label)
    if not isinstance(given, (str, Path)) or not str(given):
        raise ParameterError(
            f"parameter results_dir = {given!r} ({type(given).__name__}): expected a folder's path, or None "
            "for results/<profile> of the project"
        )
    return Path(given).resolve()


def known_device(given: Any) -> str:
    """What trains: "cpu" unless something else is given. Errors: `ParameterError`, also where torch finds no GPU."""
    device = DEVICES[0] if given is None else _read("device", _DEVICE, given)
    if device == DEVICES[0]:
        return device
    import torch  # late: the workflow reads this module for every job

    if not torch.cuda.is_available():
        raise ParameterError(f"parameter device = {device!r}: torch finds no GPU here; leave it out")
    return device


def kept_folder(given: Any, experiment: Experiment) -> Path | None:
    """The folder, if given, with rows and figures of an earlier run of an experiment. Errors: `ParameterError`."""
    if given is None:
        return None
    right = isinstance(given, (str, Path))
    if not right or (
        missing := [file.name for file in experiment.products(Path(given)) if not file.is_file()]
    ):
        raise ParameterError(
            f"parameter keep = {given!r} ({type(given).__name__}): expected a folder of results with the rows and "
            f"figures of {experiment.name}{f' ({missing[0]} is missing)' if right else ''}, or None to compute "
            "everything"
        )
    return Path(given).resolve()


def _given(namespace: Mapping[str, Any]) -> set[str]:
    """The names that someone set as parameters.

    In IPython, the constants assigned by the cells run since the last successful check, so that running the
    cell again later in a session does not mistake the notebook's own variables for parameters. Elsewhere, all
    public data.
    """
    cells = namespace.get("In", [])
    if any(cells):
        return set().union(*map(assigned_constants, cells[namespace.get(_CHECKED, 0) :]))
    ours = {
        name for name, value in namespace.items() if not (callable(value) or isinstance(value, ModuleType))
    }
    return {name for name in ours if not name.startswith("_")} - {"In", "Out", "annotations"}


def assigned_constants(source: str) -> set[str]:
    """The public names to which the top level of a cell assigns a value made of constants; `float("nan")`, as
    papermill writes it, is one.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a cell with IPython magics holds no parameters
        return set()
    names = set()
    for statement in body:
        if (
            isinstance(statement, (ast.Assign, ast.AnnAssign))
            and statement.value
            and _constant(statement.value)
        ):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def _constant(value: ast.expr) -> bool:
    return all(node.id == "float" for node in ast.walk(value) if isinstance(node, ast.Name))
