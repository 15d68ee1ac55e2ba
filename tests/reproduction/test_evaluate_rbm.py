"""`nvil-repro evaluate-rbm`: exact where it can be, an honest bracket where not, one clear line for bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nvil_repro.cli import main
from nvil_repro.data.mnist import MnistSplits
from nvil_repro.evaluation.exact_partition import exact_log_likelihood, exact_log_partition
from nvil_repro.evaluation.target_samples import annealed_samples
from nvil_repro.models.rbm import RBM, Rbm
from nvil_repro.models.rbm_arrays import rbm_to_arrays
from nvil_repro.reproduction import evaluate_rbm
from nvil_repro.streams import uniforms
from tests.models.test_unnormalised import normals

BITS = 6
THETA = Rbm(normals(1, BITS, 4), normals(1, BITS, seed=1), normals(1, 4, seed=2))
QUICK = ["--method", "ais", "--rungs", "60"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    np.savez(tmp_path / "rbm.npz", **rbm_to_arrays(THETA))
    return str(tmp_path / "rbm.npz")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> MnistSplits:
    """In place of MNIST, cases of six bits."""
    x = (uniforms(0, "test", 0, (90, BITS)) < 0.4).to(torch.uint8)
    found = MnistSplits(x[:50], x[50:60], x[60:], "mnist-fixed")
    monkeypatch.setattr(evaluate_rbm, "PIXELS", BITS)
    monkeypatch.setattr(evaluate_rbm, "load_mnist", lambda **_: found)
    return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["evaluate-rbm", *arguments, "--json"]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def test_a_small_machine_is_exact(file: str, data: MnistSplits, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, file, "--data", "fixed")
    exact = exact_log_partition(RBM, THETA).item()
    assert found["method"] == "exact"
    assert found["log_z"] == pytest.approx(exact, abs=1e-12)
    assert found["log_z_interval"] == found["log_z_bracket"] == [found["log_z"]] * 2
    assert (found["ess"], found["notes"], found["cases"], found["dataset"]) == (None, [], 30, "mnist-fixed")
    assert found["log_prob"] == pytest.approx(
        exact_log_likelihood(RBM, THETA, data.test).mean().item(), abs=1e-9
    )
    assert found["log_prob_bracket"] == [found["log_prob"]] * 2
    assert "log_prob" not in run(capsys, file)


@pytest.mark.parametrize("ladder", ["uniform", "adaptive"])
@pytest.mark.parametrize("enumerable", [True, False])
@pytest.mark.parametrize("name", [[], ["--data", "pinned"]])
def test_the_estimate_brackets_the_exact_value(
    ladder: str,
    enumerable: bool,
    name: list[str],
    file: str,
    data: MnistSplits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not enumerable:
        monkeypatch.setattr(evaluate_rbm, "LIMIT", 8)
    found = run(capsys, file, *QUICK, *name, "--ladder", ladder, "--burn-in", "50")
    exact = exact_log_partition(RBM, THETA).item()
    assert found["method"] == "ais"
    for key in ("log_z_interval", "log_z_bracket"):
        low, high = found[key]
        assert low < exact < high < low + 1
    assert 50 < found["ess"] <= 100
    assert "exact samples" in found["notes"][0]
    assert ("no exact samples" in found["notes"][0]) != enumerable
    if name:
        low, high = found["log_prob_bracket"]
        assert low < exact_log_likelihood(RBM, THETA, data.test).mean() < high
        assert low < found["log_prob"] < high
    if not enumerable:  # auto does what it can
        assert run(capsys, file, "--rungs", "5")["method"] == "ais"


@pytest.mark.parametrize(
    ("burn_in", "said", "steps"), [("0", "1 step,", 1), ("1", "1 step,", 1), ("7", "7 steps,", 7)]
)
def test_annealed_samples_take_as_many_steps_as_is_said(
    burn_in: str,
    said: str,
    steps: int,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ladders = []

    def annealed(*arguments: Any, ladder: list[float], **options: Any) -> Any:
        ladders.append(ladder)
        return annealed_samples(*arguments, ladder=ladder, **options)

    monkeypatch.setattr(evaluate_rbm, "LIMIT", 8)
    monkeypatch.setattr(evaluate_rbm, "annealed_samples", annealed)
    (note, *_) = run(capsys, file, *QUICK, "--burn-in", burn_in)["notes"]
    assert f"annealed in {said}" in note
    assert len(ladders[0]) - 1 == steps  # a step at every rung but the first, 0


@pytest.mark.parametrize("way", ["rising", "falling"])
def test_few_effective_chains_of_either_way_are_noted(
    way: str, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"rising": "ais", "falling": "reverse_ais"}[way]
    estimate = getattr(evaluate_rbm, name)

    def few(*arguments: Any, **options: Any) -> Any:
        found = estimate(*arguments, **options)
        return found._replace(ess=found.ess * 0 + 3)

    assert not any("effective" in note for note in run(capsys, file, *QUICK)["notes"])  # control
    monkeypatch.setattr(evaluate_rbm, name, few)
    noted = [note for note in run(capsys, file, *QUICK)["notes"] if "effective" in note]
    assert noted == [f"only 3.0 of 100 {way} chains are effective: use more rungs"]


def test_without_weights_it_is_exact_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b, c = normals(300, seed=1), normals(250, seed=2)
    np.savez(
        tmp_path / "rbm.npz", weights=np.zeros((300, 250)), visible_bias=b.numpy(), hidden_bias=c.numpy()
    )
    expected = torch.cat([b, c]).exp().log1p().sum().item()
    for arguments, method in (((), "exact"), (("--method", "ais", "--rungs", "3", "--burn-in", "2"), "ais")):
        found = run(capsys, str(tmp_path / "rbm.npz"), *arguments)
        assert found["method"] == method
        for value in (found["log_z"], *found["log_z_interval"], *found["log_z_bracket"]):
            assert value == pytest.approx(expected, abs=1e-11)


def test_it_reads_well(file: str, data: MnistSplits, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate-rbm", file, "--data", "mnist-fixed"]) == 0
    exact = capsys.readouterr().out
    assert exact.startswith("RBM of 6 visible and 4 hidden units: exact\nlog Z    ")
    assert "mean of 30 test cases of mnist-fixed" in exact
    assert "bracket" not in exact
    assert main(["evaluate-rbm", file, *QUICK]) == 0
    estimated = capsys.readouterr().out
    for word in ("annealed importance sampling", "interval [", "bracket [", "effective samples", "Note: "):
        assert word in estimated


def test_numbers_that_json_has_not_become_null_and_a_note() -> None:
    found = evaluate_rbm.as_json(evaluate_rbm.LogZ("ais", 1.0, (-np.inf, 2.0), (0.0, np.nan), 3.0), None)
    assert (found["log_z"], found["log_z_interval"], found["log_z_bracket"]) == (
        1.0,
        [None, 2.0],
        [0.0, None],
    )
    assert len(found["notes"]) == 2


def test_progress_goes_to_the_other_stream(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_rbm, "REPORT_SECONDS", 0.0)
    monkeypatch.setenv("NVIL_REPRO_PROGRESS", "lines")
    assert main(["evaluate-rbm", file, *QUICK, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["method"] == "ais"
    assert "AIS over 60 rungs: " in captured.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--chains", "1"], "--chains 1: expected at least 2"),
        (["--rungs", "1"], "--rungs 1: expected at least 2"),
        (["--burn-in", "-1"], "--burn-in -1: expected at least 0"),
        (["--seed", "-1"], "--seed -1: expected at least 0"),
        (["--ladder", "sm2008", "--rungs", "9"], "--rungs 9: the ladder sm2008 has 14,501"),
        (["--data", "cifar"], "unknown data 'cifar'; choose one of mnist-fixed"),
        (["--data", "fixed"], "has cases of 784 bits, and the machine 6 visible units"),
    ],
)
def test_bad_options_are_refused(
    arguments: list[str], says: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate-rbm", file, *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_a_side_too_large_is_said_with_what_to_do(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_rbm, "LIMIT", 8)
    assert main(["evaluate-rbm", file, "--method", "exact"]) == 2
    assert "use --method ais" in capsys.readouterr().err


def test_bad_files_and_data_are_refused(
    tmp_path: Path,
    file: str,
    data: MnistSplits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = tmp_path / "bad.npz"
    np.savez(bad, **rbm_to_arrays(THETA) | {"hidden_bias": np.full(4, np.nan)})
    grey = data._replace(test=data.test * 7)
    monkeypatch.setattr(evaluate_rbm, "load_mnist", lambda **_: grey)
    for arguments, says in (
        ([str(bad)], "hidden_bias holds nan at [0]"),
        ([str(tmp_path / "nowhere.npz")], "nowhere.npz"),
        ([file, "--data", "fixed"], "the test cases must hold zeros and ones only, got 7"),
    ):
        assert main(["evaluate-rbm", *arguments]) == 2
        captured = capsys.readouterr()
        assert says in captured.err
        assert captured.err.startswith("nvil-repro evaluate-rbm: ")
        assert captured.out == ""
