"""Peak memory, measured in processes of their own; of the figure's training, both panels one after the other."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from benchmarks.timing import cores
from benchmarks.work import Bits, Work, generated_bits, mnist_bits

PANELS = ((200,), (200, 200))
STATUS = Path("/proc/self/status")


def peak_megabytes(data: str = "mnist", chunks: int = 4) -> float:
    """Of loading the data and a few hundred updates of each panel's five variants. `data` is mnist or generated."""
    return alone("benchmarks.memory", data, chunks)[-1]


def alone(module: str, *arguments: object) -> list[float]:
    """The numbers that a module prints, run by a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in done.stdout.split()]


def peak() -> float:
    """The largest memory this process has had, or has had since `forget_peak`, in MB."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    for line in lines:  # Linux, where `ru_maxrss` counts what the parent had when it began this process, too
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def forget_peak() -> None:
    """From now on `peak` begins at what this process holds; where the system cannot do so, it goes on."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def train_panels(data: Bits, chunks: int) -> None:
    """`chunks` chunks of each panel, with the evaluations at their start and end, as the notebook trains them."""
    from dataclasses import replace

    from nvil_repro.training.belief_nets import train

    for layers in PANELS:
        settings = Work(data, layers=layers).settings
        length = chunks * settings.chunk
        train(replace(settings, updates=length, eval_every=length), data, progress="off", threads=cores())


if __name__ == "__main__":
    train_panels(mnist_bits() if sys.argv[1] == "mnist" else generated_bits(), int(sys.argv[2]))
    print(peak())
