"""Our update as training runs it: minibatches cut, uniforms drawn, every replica advanced."""

from __future__ import annotations

from itertools import count

from benchmarks.timing import Way, cores
from benchmarks.work import Work
from nvil_repro.training.belief_nets import BeliefNets


def ours(work: Work) -> list[Way]:
    """One way: the engine that training would choose here, on all cores."""
    method = BeliefNets(work.settings, work.data.train, work.data.valid, threads=cores())
    state, chunks = method.start(), count()

    def run() -> None:
        method.advance(state, next(chunks) * work.chunk, work.chunk)

    return [Way(run, work.chunk * work.replicas)]
