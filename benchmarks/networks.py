"""An update of the other networks and methods of Tables 1 and 2, beside eager PyTorch and the closed form in torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from benchmarks.eager import autograd
from benchmarks.floor import floor
from benchmarks.ours import ours
from benchmarks.peers import closed_form
from benchmarks.rows import Row, measured
from benchmarks.work import Bits, Work
from nvil_repro.models.belief_net import Architecture

FDARN = Architecture(prior=True)
AUTOREGRESSIVE_Q = Architecture(inference=True)
CHUNK = 10


def table_works(data: Bits) -> dict[str, Work]:
    """Two seeds each, the full method where it is NVIL."""
    nvil = Work(data, variants=("full",), seeds=(0, 1), chunk=CHUNK)
    return {
        "SBN 200-200-500, NVIL": replace(nvil, layers=(500, 200, 200)),
        "SBN 200-200, wake-sleep": replace(nvil, method="wake-sleep", variants=("",)),
        "fDARN 200, NVIL": replace(nvil, layers=(200,), architecture=FDARN),
        "fDARN 500, NVIL": replace(nvil, layers=(500,), architecture=FDARN),
        "SBN 200, autoregressive Q": replace(nvil, layers=(200,), architecture=AUTOREGRESSIVE_Q),
        "SBN 200-200-200, autoregressive Q": replace(
            nvil, layers=(200, 200, 200), architecture=AUTOREGRESSIVE_Q
        ),
    }


def networks(works: Mapping[str, Work], seconds: float) -> Iterator[Row]:
    """Two rows a network."""
    for name, work in works.items():
        contenders = {"ours": ours(work), "floor": floor(work)}
        contenders |= {"eager autograd": autograd(work), "closed form, torch": closed_form(work)}
        yield from measured(name, contenders, seconds / len(works), f"minibatch {work.batch}")
