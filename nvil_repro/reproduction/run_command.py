"""`nvil-repro run`: run experiments through the workflow, then show the comparison and name the report."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nvil_repro.files import folder_lock
from nvil_repro.reproduction.compare import load_comparison, to_text
from nvil_repro.reproduction.execute import PARENT_VARIABLE
from nvil_repro.reproduction.experiment import DEVICES, PROFILES
from nvil_repro.reproduction.notebook import keeps_rows, kept_folder, known_device, parameter_names
from nvil_repro.reproduction.profiles import EXPERIMENTS, known_experiment, known_profile
from nvil_repro.reproduction.project import project_root, results_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `nvil-repro run`."""
    parser.add_argument(
        "experiments", nargs="*", metavar="experiment", help=f"any of {', '.join(EXPERIMENTS)} (default: all)"
    )
    parser.add_argument("--profile", default="quick", help=f"one of {', '.join(PROFILES)} (default: quick)")
    parser.add_argument("--cores", default="all", help="how many cores to use (default: all)")
    parser.add_argument(
        "--keep",
        type=Path,
        help="another folder of results, whose rows tables and Figure 1 need not compute again",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        choices=DEVICES,
        help="what trains the quick start and Figure 1 (default: cpu)",
    )
    parser.add_argument("--force", action="store_true", help="run again what is up to date")


def main(args: argparse.Namespace) -> int:
    """Run, compare, say where the report is. The exit status is 1 when a notebook failed."""
    profile, cores, root = known_profile(args.profile), known_cores(args.cores), project_root()
    names = list(dict.fromkeys(args.experiments)) or list(EXPERIMENTS)
    for name in names:
        if not (notebook := root / "notebooks" / known_experiment(name).notebook).is_file():
            raise FileNotFoundError(f"the notebook of {name} is missing: {notebook}")
    folder = results_folder(root, profile)
    if any("device" in parameter_names(known_experiment(name)) for name in names):
        known_device(args.device)
    keep = None if args.keep is None else known_keep(args.keep, folder, names)
    log, before = folder / "workflow.log", _stamps(folder, names)
    with folder_lock(folder):
        print(f"Running {', '.join(names)}: {profile} profile, {cores} core{'s' * (cores > 1)}", flush=True)
        command = snakemake_command(root, profile, names, cores, keep, args.device)
        command += ["--forceall"] if args.force else []
        if run_group(command, root, log):
            print(log.read_text(errors="replace").strip(), file=sys.stderr)
            print(
                f"Failed, as said above. The notebooks as executed are in {folder / 'notebooks'}",
                file=sys.stderr,
            )
            return 1
    if old := [name for name, stamp in _stamps(folder, names).items() if stamp == before.get(name)]:
        print(f"Not run, for their rows are here and up to date as far as is known: {', '.join(old)}")
        print("(by an earlier run, or from the repository; --force runs them anyway)")
    print(f"\n{to_text(load_comparison(root, profile), profile, complete=False)}")
    print(f"\nReport: {folder / 'report.html'}")
    return 0


def _stamps(folder: Path, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """What tells whether an experiment's rows have been written again."""
    files = {name: folder / f"{name}.csv" for name in names}
    stats = {name: file.stat() for name, file in files.items() if file.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def known_cores(text: str) -> int:
    """The number of cores meant by "all" or a number. Errors: `ValueError`."""
    if text == "all":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f'--cores {text}: expected "all" or a whole number, 1 or more')
    return int(text)


def known_keep(folder: Path, results: Path, names: Sequence[str]) -> Path:
    """A folder with rows, and their figures, of one of these experiments, other than the run's own, which the workflow
    empties.

    Errors: `ValueError`.
    """
    folder = folder.resolve()
    if folder == results.resolve():
        raise ValueError(f"--keep {folder}: the run itself writes there; make a copy of it and keep that")
    if not any((folder / f"{name}.csv").is_file() for name in names):
        files = ", ".join(f"{name}.csv" for name in names)
        raise ValueError(f"--keep {folder}: expected a folder of results with one of {files}")
    for experiment in map(known_experiment, names):
        if keeps_rows(experiment, folder):
            kept_folder(folder, experiment)
    return folder


def snakemake_command(
    root: Path,
    profile: str,
    names: Sequence[str],
    cores: int,
    keep: Path | None = None,
    device: str = DEVICES[0],
) -> list[str]:
    """The workflow's command line. The results folder has our own lock, which dies with its process."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        "workflow/Snakefile",
        "--directory",
        str(root),
    ]
    command += ["--cores", str(cores), "--nolock"]
    config = [f"profile={profile}", f"experiments={','.join(names)}", f"device={device}"]
    return [*command, "--config", *config, *([] if keep is None else [f"keep={json.dumps(str(keep))}"])]


def run_group(command: Sequence[str], root: Path, log: Path) -> int:
    """Run a command in a process group of its own and return its exit status. What notebooks print comes
    through; what Snakemake says of itself goes to `log`. An interruption or termination of this process first
    stops all of the group, once, patiently.
    """
    signals = (signal.SIGINT, signal.SIGTERM)  # a shell starts its background jobs with the first one ignored
    previous = [signal.signal(number, signal.default_int_handler) for number in signals]
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    try:
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=root, env=environment, stderr=file, start_new_session=True
            )
        try:
            return process.wait()
        except KeyboardInterrupt:
            _stop(process)
            raise
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
