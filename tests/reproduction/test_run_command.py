"""`nvil-repro run` from end to end on toy notebooks: order, nothing twice, failures, one owner, clean ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nvil_repro.files import folder_lock
from nvil_repro.reproduction.profiles import EXPERIMENTS
from nvil_repro.reproduction.run_command import known_cores

from .conftest import PUBLISH, toy_notebook

RUN = [sys.executable, "-m", "nvil_repro.cli", "run", "--profile", "smoke", "--cores", "2"]
NOTEBOOK = EXPERIMENTS["quickstart"].notebook


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=200)


def test_the_whole_way(project: Path) -> None:
    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "[variance_reduction] ready" in first.stdout
    assert "Comparison with the paper, smoke profile" in first.stdout
    results = project / "results" / "smoke"
    assert f"Report: {results.resolve() / 'report.html'}" in first.stdout
    assert all(path.is_file() for experiment in EXPERIMENTS.values() for path in experiment.products(results))
    assert any(entry["ours"] == 130.5 for entry in json.loads((results / "comparison.json").read_text()))

    again = run()
    assert again.returncode == 0
    assert "ready" not in again.stdout
    assert f"up to date as far as is known: {', '.join(EXPERIMENTS)}\n" in again.stdout
    assert "up to date" not in first.stdout

    (project / "nvil_repro" / "learning" / "nvil.py").open("a").write("\nMORE = 1\n")
    changed = run("quickstart")
    assert "[quickstart] ready" in changed.stdout
    assert "up to date" not in changed.stdout

    toy_notebook(project / "notebooks" / NOTEBOOK, "quickstart", 'raise RuntimeError("no luck")')
    failed = run("quickstart")
    assert failed.returncode == 1
    assert "RuntimeError: no luck" in failed.stdout
    assert str(results / "notebooks") in failed.stderr
    assert "no luck" in (results / "notebooks" / NOTEBOOK).read_text()
    assert not (results / "quickstart.csv").exists()


def test_a_table_is_told_whose_rows_it_keeps(project: Path) -> None:
    """The workflow empties its own folder of results, so it cannot be that one."""
    before = project / "results" / "it's before"
    (before / "figures").mkdir(parents=True)
    for product in EXPERIMENTS["nvil_vs_wake_sleep"].products(before):
        product.touch()
    notebook = project / "notebooks" / EXPERIMENTS["nvil_vs_wake_sleep"].notebook
    toy_notebook(notebook, "nvil_vs_wake_sleep", 'print("keeps", run.keep and run.keep.name)\n' + PUBLISH)
    tables = ("nvil_vs_wake_sleep", "autoregressive_inference")  # of the second it has nothing
    for options, said in ((("--keep", str(before)), "keeps it's before"), (("--force",), "keeps None")):
        done = run(*tables, *options)
        assert f"[nvil_vs_wake_sleep] {said}" in done.stdout, done.stdout + done.stderr
        assert "ready" not in run(*tables).stdout  # whose rows were kept is no reason to compute them
    for folder, why in (
        ("results/smoke", "make a copy of it"),
        ("results", "with one of nvil_vs_wake_sleep.csv"),
    ):
        refused = run(*tables, "--keep", folder)
        assert refused.returncode == 2
        assert why in refused.stderr


def test_what_a_notebook_would_refuse_is_refused_before_old_results_go(project: Path) -> None:
    before, name = project / "results" / "before", "variance_reduction"
    notebook = project / "notebooks" / EXPERIMENTS[name].notebook
    toy_notebook(notebook, name, PUBLISH)
    assert run(name).returncode == 0
    old = {file: file.read_bytes() for file in EXPERIMENTS[name].products(project / "results" / "smoke")}
    before.mkdir()
    (before / f"{name}.csv").touch()
    refused = run(name, "--force", "--keep", str(before))
    assert refused.returncode == 2
    assert "the rows and figures of variance_reduction (" in refused.stderr
    assert {file: file.read_bytes() for file in old} == old
    if not torch.cuda.is_available():
        refused = run(name, "--force", "--device", "cuda")
        assert refused.returncode == 2
        assert "torch finds no GPU here" in refused.stderr
        assert {file: file.read_bytes() for file in old} == old
    assert run(name, "--force").returncode == 0


def test_what_can_train_on_a_gpu_is_told_whether_to(project: Path) -> None:
    for name in ("quickstart", "nvil_vs_wake_sleep"):
        notebook = project / "notebooks" / EXPERIMENTS[name].notebook
        toy_notebook(notebook, name, 'print("trains on", run.device)\n' + PUBLISH)
    if torch.cuda.is_available():
        assert "[quickstart] trains on cuda" in run("quickstart", "--device", "cuda").stdout
    there = run("nvil_vs_wake_sleep", "--device", "cuda").stdout
    assert "[nvil_vs_wake_sleep] trains on cpu" in there  # it has no choice
    assert "[quickstart] trains on cpu" in run("quickstart", "--force").stdout
    refused = run("quickstart", "--device", "tpu")
    assert refused.returncode == 2
    assert "'cpu', 'cuda'" in refused.stderr


def test_one_owner(project: Path) -> None:
    with folder_lock(project / "results" / "smoke"):
        refused = run("quickstart")
    assert refused.returncode == 2
    assert "is in use by process" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (project / "results" / "smoke" / "notebooks").exists()


@pytest.fixture
def sleeping(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose notebook sleeps once, then finishes when run again."""
    nap = "import pathlib, time\nif not pathlib.Path('slept').exists():\n"
    nap += "    open('slept', 'w').close()\n    time.sleep(99)\n"
    toy_notebook(project / "notebooks" / NOTEBOOK, "quickstart", nap + PUBLISH)
    process = subprocess.Popen(
        [*RUN, "quickstart"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if (project / "slept").exists():
            break
        time.sleep(0.1)
    yield process
    process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_stopped_it_leaves_no_process_and_goes_on(
    project: Path, sleeping: subprocess.Popen[str], number: signal.Signals
) -> None:
    import psutil

    family = psutil.Process(sleeping.pid).children(recursive=True)
    assert any("ipykernel" in " ".join(process.cmdline()) for process in family)
    sleeping.send_signal(number)
    assert sleeping.wait(30) == (-number if number == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    assert not (project / "results" / "smoke" / "quickstart.csv").exists()
    again = run("quickstart")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (project / "results" / "smoke" / "quickstart.csv").is_file()


def test_a_slurm_job_asks_for_no_more_cores_than_a_node_has(project: Path) -> None:
    """Slurm would keep it waiting for ever, and a notebook can use 32."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--profile", "workflow/profiles/slurm"]
    here = ["--executor", "local", "--cores", "64", "--config", "profile=smoke"]  # its executor is a plugin
    for more, cores in ([], {"2", "16"}), (["--max-threads", "32"], {"2", "32"}):
        plan = subprocess.run([*command, *here, *more], capture_output=True, text=True, timeout=100)
        assert plan.returncode == 0, plan.stderr
        assert set(re.findall(r"threads: (\d+)", plan.stdout + plan.stderr)) == cores
        assert "runtime=720" in plan.stdout + plan.stderr


def test_cores() -> None:
    assert known_cores("3") == 3
    assert known_cores("all") >= 1
    for bad in ("0", "-1", "two", ""):
        with pytest.raises(ValueError, match="whole number"):
            known_cores(bad)
