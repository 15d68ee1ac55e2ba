"""Every experiment's settings, in every profile, pass the rules that readers' parameters must pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import pytest

from nvil_repro.evaluation.exact import LIMIT
from nvil_repro.learning import estimators, nvil
from nvil_repro.reproduction import protocols
from nvil_repro.reproduction.experiment import PROFILES, Experiment
from nvil_repro.reproduction.notebook import run_hash
from nvil_repro.reproduction.profiles import EXPERIMENTS, known_experiment, known_profile
from nvil_repro.reproduction.protocols import PROTOCOLS, VARIANTS
from nvil_repro.reproduction.rules import Count, Seeds, one_of, rules_of, several, whole

from .conftest import effort

CASES = [(experiment, profile) for experiment in EXPERIMENTS.values() for profile in PROFILES]


def broken(settings: object) -> list[str]:
    """The fields of settings that break their rule, change when read or name what the run has not."""
    found = []
    for name, rule in rules_of(type(settings)).items():
        value = getattr(settings, name)
        try:
            if rule.read(value) != value:
                found.append(name)
        except ValueError:
            found.append(name)
    names = getattr(settings, "nameable", {}).items()
    return found + [name for name, known in names if not known.issuperset(getattr(settings, name))]


@pytest.mark.parametrize(("experiment", "profile"), CASES, ids=lambda case: getattr(case, "name", case))
def test_settings_follow_their_rules(experiment: Experiment, profile: str) -> None:
    settings = experiment.profiles[profile]
    assert broken(settings) == []
    assert broken(replace(settings, **{effort(experiment): 1})) == [effort(experiment)]
    for name in getattr(settings, "nameable", {}):
        assert broken(replace(settings, **{name: ("what no run has",)})) == [name]


def test_every_experiment_has_every_profile() -> None:
    for experiment in EXPERIMENTS.values():
        assert tuple(experiment.profiles) == PROFILES
        assert len({type(settings) for settings in experiment.profiles.values()}) == 1


def test_variants_are_those_of_the_estimator() -> None:
    assert list(VARIANTS) == list(nvil.VARIANTS) == list(nvil.LABELS)
    assert protocols.ESTIMATORS == estimators.ESTIMATORS


def test_the_literal_protocol_has_the_rates_of_the_paper() -> None:
    literal = PROTOCOLS["literal"]
    assert (literal.optimiser, literal.rate, literal.inference_rate) == ("sgd", 3e-4, 6e-5)


def test_products_are_rows_and_both_kinds_of_every_figure(tmp_path: Path) -> None:
    experiment = EXPERIMENTS["variance_reduction"]
    names = [path.name for path in experiment.products(tmp_path)]
    assert names[0] == "variance_reduction.csv"
    assert len(names) == 1 + 2 * len(experiment.figures)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_hash_moves_with_every_setting_and_with_the_rates_behind_its_protocols(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = EXPERIMENTS[name]
    settings = experiment.profiles["quick"]
    before = run_hash(experiment, settings)
    assert before == run_hash(experiment, replace(settings))
    assert before != run_hash(experiment, replace(settings, **{effort(experiment): 1234}))
    used = getattr(settings, "protocols", (getattr(settings, "protocol", None),))
    known = getattr(settings, "known_protocols", PROTOCOLS)
    for protocol, how in known.items():
        with monkeypatch.context() as patch:
            patch.setitem(known, protocol, how._replace(rate=0.5))
            assert (before != run_hash(experiment, settings)) == (protocol in used)


@pytest.mark.parametrize("name", ["rbm_training", "partition_function"])
def test_what_is_to_be_enumerated_can_be(name: str) -> None:
    rule = rules_of(type(EXPERIMENTS[name].profiles["paper"]))["exact_hidden"]
    most = LIMIT.bit_length() - 1
    assert rule.read(most) == most
    with pytest.raises(ValueError):  # noqa: PT011 - a rule has no message of its own
        rule.read(most + 1)


def test_unknown_names_are_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match='"quik"; expected one of smoke, quick, paper'):
        known_profile("quik")
    with pytest.raises(ValueError, match='"variance"; expected one of quickstart, variance_reduction'):
        known_experiment("variance")


@dataclass(frozen=True)
class Toy:
    updates: Count
    cases: Annotated[int, whole(2, 9)]
    seeds: Seeds
    names: Annotated[tuple[str, ...], several(one_of("a", "b"), including="a")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("updates", True), ("updates", "3"), ("updates", 3.0), ("updates", 0), ("updates", -1), ("updates", None),
        ("updates", float("nan")), ("cases", 1), ("cases", 10),
        ("seeds", 3), ("seeds", []), ("seeds", [0, 0]), ("seeds", [0, -1]), ("seeds", "01"), ("seeds", [True]),
        ("names", ["b"]), ("names", ["a", "c"]), ("names", "a"),
    ],
)  # fmt: skip
def test_rules_refuse(name: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a rule has no message of its own
        rules_of(Toy)[name].read(value)


def test_rules_read() -> None:
    given = {"updates": 3, "cases": 9, "seeds": [2, 0], "names": ["b", "a"]}
    read = {name: rule.read(given[name]) for name, rule in rules_of(Toy).items()}
    assert read == asdict(Toy(updates=3, cases=9, seeds=(2, 0), names=("b", "a")))


def test_a_field_without_a_rule_is_a_mistake() -> None:
    @dataclass(frozen=True)
    class Loose:
        updates: int

    with pytest.raises(TypeError, match="updates has no rule"):
        rules_of(Loose)
