"""The networks of Tables 1 and 2 have their rows, and are what their rows say."""

from __future__ import annotations

import pytest

from benchmarks.networks import networks, table_works
from benchmarks.work import Bits, generated_bits
from tests.benchmarks.tiny import shrunk


def test_every_network_has_a_row_for_each_peer(data: Bits) -> None:
    works = {name: shrunk(work) for name, work in table_works(data).items()}
    rows = list(networks(works, seconds=0))
    assert [(row.name, row.peer) for row in rows] == [
        (name, peer) for name in works for peer in ("eager autograd", "closed form, torch")
    ]
    assert all(min(row.ours_ms, row.peer_ms, row.floor_ms) > 0 for row in rows)


@pytest.mark.parametrize("name", table_works(generated_bits(60, 12)))
def test_a_network_is_what_its_name_says(data: Bits, name: str) -> None:
    work = table_works(data)[name]
    network, method = name.split(", ")
    assert network == f"{work.architecture.name} {'-'.join(map(str, reversed(work.layers)))}"
    assert (work.method == "wake-sleep") == (method == "wake-sleep")
    assert work.architecture.inference == (method == "autoregressive Q")
