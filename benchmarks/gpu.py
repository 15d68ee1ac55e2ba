"""An update on a GPU, compiled and captured, as replicas fill the chip, beside the same update by eager torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import torch

from benchmarks.rows import Row
from benchmarks.timing import Way, milliseconds
from benchmarks.work import Bits, Work
from nvil_repro.training.belief_nets import BeliefNets

SEEDS = (1, 3, 6)  # of the five variants of Figure 1
CHUNK = 50


def gpu(data: Bits, seconds: float, device: str = "cuda", seeds: Sequence[int] = SEEDS) -> Iterator[Row]:
    """A row for each number of seeds, the panels of Figure 1; none on a machine without a GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        return
    name = torch.cuda.get_device_name() if device == "cuda" else device
    for layers in ((200,), (200, 200)):
        for n in seeds:
            work = Work(data, layers=layers, seeds=tuple(range(n)), chunk=CHUNK)
            contenders = {"ours": [trained(work, device, "auto")], "eager": [trained(work, device, "torch")]}
            found = milliseconds(contenders, seconds / (2 * len(seeds)))
            dims = "-".join(map(str, reversed(layers)))
            note = f"{work.replicas} replicas, {found['ours'] * work.replicas:.2f} ms an update, on {name}"
            yield Row(f"SBN {dims}, GPU", found["ours"], "eager torch", found["eager"], note=note)


def trained(work: Work, device: str, engine: str) -> Way:
    """As training does it, minibatches cut and uniforms drawn on the host."""
    settings = replace(work.settings, device=device, engine=engine, updates=10**9)
    method = BeliefNets(settings, work.data.train.to(device), work.data.valid)
    state, chunks = method.start(), count()

    def run() -> None:
        method.advance(state, next(chunks) * work.chunk, work.chunk).cpu()

    return Way(run, work.chunk * work.replicas)
