"""The compiled sampler and the loop it is measured against are one and the same function."""

from __future__ import annotations

import torch

from benchmarks.sampling import sampled, sampling
from nvil_repro.models.autoregressive import draw, draw_by_unit


def test_compiled_sampling_and_the_naive_loop_make_the_same_bits() -> None:
    ways = [sampled(sampler, units=9, batch=5) for sampler in (draw, draw_by_unit)]
    compiled, naive = ([bits for bits, _ in way.run()] for way, *_ in ways)  # type: ignore[attr-defined]
    assert torch.equal(torch.stack(compiled), torch.stack(naive))
    assert ways[0][0].updates == len(compiled)
    other, _ = sampled(lambda a, u, lateral: draw(a, u, lateral.mT), units=9, batch=5)[0].run()[0]  # type: ignore[index]
    assert not torch.equal(other, naive[0])  # control: another triangle


def test_every_size_has_its_row() -> None:
    assert [row.name for row in sampling(0, units=(3, 4), batch=2)] == [
        "sampling 3 autoregressive units, minibatch 2",
        "sampling 4 autoregressive units, minibatch 2",
    ]
