"""Run one experiment's notebook through papermill, in a process of its own; what the workflow calls.

    python -m nvil_repro.reproduction.execute quickstart --profile quick --results results/quick --threads 2

The notebook's output lines are passed on as they come, marked with the experiment's name. The executed
notebook is kept in `results/<profile>/notebooks/` whether it succeeds or fails; only the exit status tells
which.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nvil_repro.reproduction.experiment import DEVICES, PROFILES, Experiment
from nvil_repro.reproduction.notebook import keeps_rows, parameter_names
from nvil_repro.reproduction.profiles import known_experiment, known_profile
from nvil_repro.reproduction.project import project_root

PARENT_VARIABLE = "NVIL_REPRO_RUN_PID"
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SOCKET_PATH = 90  # bytes; the system's limit on a socket's path is 104 or 108


class NotebookFailedError(RuntimeError):
    """A cell failed, or the kernel died; the message shows where, and where the notebook is kept."""


class Prefixed:
    """A text stream that passes whole lines on, each with a prefix; of several joined by "\\r", the last."""

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self.stream, self.prefix, self.rest = stream, prefix, ""

    def write(self, text: str) -> int:
        """Pass the complete lines of `text` on."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if shown := line.rstrip("\r").rsplit("\r", 1)[-1].rstrip():
                self.stream.write(f"{self.prefix}{shown}\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self.stream.flush()


def execute(experiment: Experiment, source: Path, executed: Path, values: Mapping[str, Any]) -> None:
    """Run the notebook `source` with the parameters `values`, keeping it as `executed`.

    The kernel is reached through a socket file of its own (TCP ports collide now and then when many start).
    Errors: `NotebookFailedError`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillException, PapermillExecutionError
        from traitlets.config import Config

    executed.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"[{experiment.name}] "
    with tempfile.TemporaryDirectory(prefix="nvil-", dir=_socket_folder()) as sockets:
        config = Config()
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = f"{sockets}/kernel"
        try:
            papermill.execute_notebook(
                str(source),
                str(executed),
                parameters=dict(values),
                progress_bar=False,
                stdout_file=Prefixed(sys.stdout, prefix),
                stderr_file=Prefixed(sys.stdout, prefix),
                config=config,
            )
        except PapermillExecutionError as error:
            trace = "\n".join(_COLOURS.sub("", line) for line in error.traceback)
            raise NotebookFailedError(
                f"In [{error.exec_count}] failed\n{trace}\nThe notebook is kept: {executed}"
            ) from None
        except (DeadKernelError, PapermillException, RuntimeError) as error:
            raise NotebookFailedError(
                f"{error or type(error).__name__}\nThe notebook is kept: {executed}"
            ) from None


def _socket_folder() -> str | None:
    """The usual folder for temporary files, unless its path is too long for a socket."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < _SOCKET_PATH - len("/nvil-12345678/kernel-1") else "/tmp"


def main(arguments: list[str] | None = None) -> int:
    """Run one notebook; the exit status is 1 when it fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment")
    parser.add_argument("--profile", required=True, help=", ".join(PROFILES))
    parser.add_argument("--results", required=True, type=Path, help="folder of the results")
    parser.add_argument("--keep", type=Path, help="folder of results whose rows a table or figure keeps")
    parser.add_argument(
        "--device", default="cpu", choices=DEVICES, help="what trains, where there is a choice"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    experiment, profile = known_experiment(args.experiment), known_profile(args.profile)

    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(args.threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _end_with_parent()
    results = _from_here(args.results)
    values = {"profile": profile, "results_dir": str(results)}
    if "device" in parameter_names(experiment):
        values["device"] = args.device
    if args.keep is not None and keeps_rows(experiment, args.keep):
        values["keep"] = str(_from_here(args.keep))
    started = time.monotonic()
    try:
        source = _from_here(project_root() / "notebooks" / experiment.notebook)
        execute(experiment, source, results / "notebooks" / experiment.notebook, values)
        if missing := [path.name for path in experiment.products(results) if not path.is_file()]:
            raise NotebookFailedError(f"the notebook ran to its end without leaving {', '.join(missing)}")
    except NotebookFailedError as error:
        print(f"[{experiment.name}] {error}")
        return 1
    except KeyboardInterrupt:
        print(f"[{experiment.name}] interrupted; run again to go on from its last checkpoint")
        return 130
    print(f"[{experiment.name}] done in {time.monotonic() - started:.0f} s")
    return 0


def _from_here(path: Path) -> Path:
    """Relative where it can be: the executed notebook, which may be published, names no folder of this machine. The
    kernel works in this process's folder.
    """
    path, here = path.resolve(), Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _end_with_parent() -> None:
    """Interrupt this process once the `nvil-repro run` that started it is gone, kill -9 included: only one
    run may write into a results folder, and the dead one's lock is free.
    """
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is None:
        return

    def watch() -> None:
        while True:
            try:
                os.kill(int(parent), 0)
            except ProcessLookupError:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.5)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
