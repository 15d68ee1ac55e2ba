"""Parameters of a notebook are refused by name, type and value, whatever ran it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nvil_repro.reproduction.notebook import ParameterError, Run, assigned_constants, parameters
from nvil_repro.reproduction.profiles import EXPERIMENTS

pytestmark = pytest.mark.usefixtures("project")


def ask(**given: Any) -> Run:
    """As from a notebook that assigns `given`, in a plain namespace."""
    return parameters({"__name__": "__main__", "Path": Path, "profile": "smoke", **given}, "quickstart")


def test_none_is_the_profiles_value(project: Path) -> None:
    run = ask(updates=None, results_dir=None)
    assert run.settings == EXPERIMENTS["quickstart"].profiles["smoke"]
    assert run.profile == "smoke"
    assert run.results_dir == project.resolve() / "results" / "smoke"


def test_a_change_is_taken_and_never_passes_for_the_profile(project: Path) -> None:
    run = ask(updates=7, layers=[20, 10])
    assert (run.settings.updates, run.settings.layers) == (7, (20, 10))
    assert run.profile == "smoke-custom"
    assert run.results_dir == project.resolve() / "results" / "smoke-custom"
    assert run.settings_hash != ask().settings_hash


def test_the_profiles_own_value_is_no_change() -> None:
    assert ask(updates=EXPERIMENTS["quickstart"].profiles["smoke"].updates).profile == "smoke"


def test_results_dir(tmp_path: Path) -> None:
    assert ask(results_dir=str(tmp_path / "x")).results_dir == tmp_path / "x"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"updatse": 10}, 'unknown parameter "updatse" of quickstart; allowed: profile, layers, updates'),
        ({"profile": "quik"}, 'profile = \'quik\' .str.: expected one of "smoke", "quick", "paper"'),
        ({"profile": None}, "profile = None"),
        ({"updates": "false"}, "updates = 'false' .str.: expected a whole number, 1 or more"),
        ({"updates": True}, "updates = True .bool."),
        ({"updates": -5}, "updates = -5"),
        ({"updates": float("nan")}, "updates = nan .float."),
        ({"protocol": "litteral"}, 'protocol = .*expected one of "literal", "quick", "balanced"'),
        ({"test_cases": 20_000}, "test_cases = 20000 .int.: expected a whole number, from 2 to 10,000"),
        ({"bound_samples": 1}, "bound_samples = 1 .int.: expected a whole number, 2 or more"),
        (
            {"layers": 200},
            "layers = 200 .int.: expected a list of one or more, each a whole number, 1 or more",
        ),
        ({"binarisation": "maybe"}, 'expected one of "auto", "fixed", "pinned"'),
        ({"results_dir": 3}, "results_dir = 3 .int.: expected a folder's path"),
        ({"device": "gpu"}, 'device = .gpu. .str.: expected one of "cpu", "cuda"'),
    ],
)
def test_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ask(**given)


@pytest.mark.parametrize(
    ("experiment", "given"),
    [
        ("variance_reduction", {"variance_at": [100, 50]}),
        ("nvil_vs_wake_sleep", {"passes": [1, 2]}),
        ("document_perplexity", {"seeds": [[0], [1], [2]]}),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused_likewise(
    experiment: str, given: dict[str, Any]
) -> None:
    with pytest.raises(ParameterError, match=f"parameter {next(iter(given))} = .*: expected"):
        parameters({"profile": "smoke", **given}, experiment)


def test_a_table_can_keep_rows_of_a_folder_that_has_some(tmp_path: Path) -> None:
    given = {"profile": "smoke", "keep": str(tmp_path)}
    (tmp_path / "figures").mkdir()
    for product in EXPERIMENTS["nvil_vs_wake_sleep"].products(tmp_path):
        with pytest.raises(
            ParameterError, match=rf"keep = .*: expected a folder .*\({product.name} is missing"
        ):
            parameters(dict(given), "nvil_vs_wake_sleep")
        product.touch()
    with pytest.raises(
        ParameterError, match=r"keep = 3 .int.: expected a folder of results with the rows and"
    ):
        parameters(given | {"keep": 3}, "nvil_vs_wake_sleep")
    run = parameters(dict(given), "nvil_vs_wake_sleep")
    assert (run.keep, run.profile) == (tmp_path, "smoke")
    with pytest.raises(ParameterError, match='unknown parameter "keep" of quickstart'):
        ask(keep=str(tmp_path))


def test_a_gpu_that_is_not_there_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        if there:
            assert (ask(device="cuda").device, ask().device, ask(device="cpu").device) == (
                "cuda",
                "cpu",
                "cpu",
            )
        else:
            with pytest.raises(
                ParameterError, match=r"device = 'cuda': torch finds no GPU here; leave it out"
            ):
                ask(device="cuda")


def test_the_parameters_cell_must_have_run() -> None:
    with pytest.raises(ParameterError, match="first code cell"):
        parameters({}, "quickstart")


def test_an_unknown_experiment() -> None:
    with pytest.raises(ValueError, match="expected one of quickstart"):
        parameters({"profile": "smoke"}, "quick_start")


class Session(dict[str, Any]):
    """An IPython session's namespace: it keeps the source of every cell run."""

    def __init__(self) -> None:
        super().__init__(In=[""])

    def cell(self, source: str) -> None:
        self["In"].append(source)
        exec(source, self)


CHECK = 'from nvil_repro.reproduction.notebook import parameters\nrun = parameters(globals(), "quickstart")'


def test_a_later_run_of_the_check_does_not_mistake_the_notebooks_variables() -> None:
    session = Session()
    session.cell('profile = "smoke"\nupdates = None')
    session.cell(CHECK)
    session.cell("losses = [run.settings.updates]\nstep = run.settings.updates")
    session.cell("updates = 9")
    session.cell(CHECK)
    assert session["run"].settings.updates == 9


def test_an_injected_cell_with_an_unknown_name_is_noticed_in_a_session() -> None:
    session = Session()
    session.cell('profile = "smoke"\nupdates = None')
    session.cell('# Parameters\nprofile = "smoke"\nflag = float("nan")')
    with pytest.raises(ParameterError, match='unknown parameter "flag"'):
        session.cell(CHECK)
    with pytest.raises(ParameterError, match='unknown parameter "flag"'):
        session.cell(CHECK)


def test_without_history_every_public_name_counts() -> None:
    with pytest.raises(ParameterError, match='unknown parameter "flag"'):
        parameters({"In": [""], "profile": "smoke", "flag": False}, "quickstart")


def test_assigned_constants() -> None:
    source = 'a = 1\nb: int = -2\nc = float("nan")\nd = f(1)\ne = a\n_f = 3\nimport os\nx.y = 1\ng: int'
    assert assigned_constants(source) == {"a", "b", "c"}
    assert assigned_constants("%matplotlib inline\na = 1") == set()
