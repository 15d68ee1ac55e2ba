"""`make bench`: updates, sampling, estimates beside peers and floors; how an update scales, what the figure costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean

from benchmarks.documents import document_rows, newsgroups
from benchmarks.eager import autograd
from benchmarks.estimates import estimated, estimates
from benchmarks.floor import floor
from benchmarks.gpu import gpu
from benchmarks.memory import PANELS, peak_megabytes
from benchmarks.networks import networks, table_works
from benchmarks.ours import ours
from benchmarks.peers import closed_form, general
from benchmarks.pyro_peer import pyro_elbo, pyro_version
from benchmarks.rbm import learned, rbm_rows
from benchmarks.rcv1 import reading
from benchmarks.rows import Row, as_json, as_table, measured
from benchmarks.sampling import sampling
from benchmarks.scaling import scaling
from benchmarks.timing import milliseconds
from benchmarks.work import Bits, Work, mnist_bits

PEERS = {"eager autograd": autograd, "nvil_loss on modules": general, "closed form, torch": closed_form}
PYRO = "Pyro TraceGraph_ELBO"
SECONDS = {  # about; the whole takes some twenty minutes, and one more where the engine is yet to be compiled
    "peers": 40.0,
    "panels": 20.0,
    "scaling": 40.0,
    "networks": 60.0,
    "sampling": 10.0,
    "estimates": 40.0,
    "documents": 40.0,
    "rbm": 60.0,
    "gpu": 20.0,
}
UPDATES = 2_000_000  # of each of the figure's ten models


def main(json: bool = False, parts: Sequence[str] = ()) -> int:
    """Measure the given parts, or all, and print a table, or JSON. What is being measured goes to the error stream.

    Errors: `ValueError` for an unknown part.
    """
    if unknown := set(parts) - PARTS.keys():
        raise ValueError(f"unknown part {min(unknown)!r}: choose from {', '.join(PARTS)}")
    data, rows = mnist_bits(), []
    for name, measure in PARTS.items():
        if name in parts or not parts:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            rows += [row._replace(part=name) for row in measure(data)]
    print(as_json(rows) if json else as_table(rows))
    return 0


def peers(data: Bits) -> Iterator[Row]:
    """An update and its peers, twice."""
    on = f"{data.dataset}, minibatch 20"
    yield from beside_peers("SBN 200-200, five variants as replicas", Work(data), SECONDS["peers"], on)
    full = Work(data, variants=("full",), seeds=(0, 1, 2, 3, 4))
    yield from beside_peers("SBN 200-200, full method, five seeds as replicas", full, SECONDS["peers"], on)


def panels(data: Bits) -> Iterator[Row]:
    """What the figure costs."""
    memory = peak_megabytes("generated" if data.dataset == "generated" else "mnist")
    return figure(data, SECONDS["panels"], memory)


PARTS: dict[str, Callable[[Bits], Iterable[Row]]] = {
    "peers": peers,
    "figure": panels,
    "scaling": lambda data: scaling(data, SECONDS["scaling"]),
    "networks": lambda data: networks(table_works(data), SECONDS["networks"]),
    "sampling": lambda data: sampling(SECONDS["sampling"]),
    "estimates": lambda data: estimates(estimated(data), SECONDS["estimates"]),
    "documents": lambda data: document_rows(newsgroups(), SECONDS["documents"]),
    "rcv1": lambda data: reading(),
    "rbm": lambda data: rbm_rows(learned(data), SECONDS["rbm"]),
    "gpu": lambda data: gpu(data, SECONDS["gpu"]),
}


def beside_peers(name: str, work: Work, seconds: float, note: str = "") -> Iterator[Row]:
    """A row per peer, all measured in the same rounds."""
    contenders = {"ours": ours(work), "floor": floor(work), PYRO: pyro_elbo(work)}
    contenders |= {peer: ways(work) for peer, ways in PEERS.items()}
    pyro = pyro_version()
    for row in measured(name, contenders, seconds, note):
        if row.peer != PYRO:
            yield row
        elif pyro is None:
            yield row._replace(note="Pyro is not installed: pip install pyro-ppl")
        else:
            yield row._replace(peer=f"Pyro {pyro}{PYRO.removeprefix('Pyro')}")


def figure(data: Bits, seconds: float, megabytes: float) -> Iterator[Row]:
    """Each panel, and both together with the time that 2 million updates of their ten models would take."""
    works = [Work(data, layers=layers) for layers in PANELS]
    names = [f"panel SBN {'-'.join(map(str, reversed(work.layers)))}" for work in works]
    contenders = {name: ours(work) for name, work in zip(names, works, strict=True)}
    contenders |= {f"{name} floor": floor(work) for name, work in zip(names, works, strict=True)}
    found = milliseconds(contenders, seconds)
    panels = [Row(name, found[name], floor_ms=found[f"{name} floor"]) for name in names]
    times = [minutes(work, panel.ours_ms) for work, panel in zip(works, panels, strict=True)]
    for panel, time in zip(panels, times, strict=True):
        yield panel._replace(note=f"{time:.0f} minutes")
    note = f"{sum(times):.0f} minutes for 10 models x 2 million updates, peak memory {megabytes:.0f} MB"
    ours_ms, floor_ms = (fmean(getattr(panel, key) for panel in panels) for key in ("ours_ms", "floor_ms"))
    yield Row("both panels", ours_ms, floor_ms=floor_ms, note=note)


def minutes(work: Work, milliseconds: float) -> float:
    """What `UPDATES` updates of every replica take, at so many milliseconds per update and model."""
    return work.replicas * UPDATES * milliseconds / 60_000
