"""`make bench`: an update of SBN 200-200 beside its peers and its floor, how it scales, and what the figure costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.floor import floor
from benchmarks.memory import PANELS, peak_megabytes
from benchmarks.ours import ours
from benchmarks.peers import autograd, closed_form, general
from benchmarks.pyro_peer import pyro_elbo, pyro_version
from benchmarks.rows import Row, as_json, as_table
from benchmarks.scaling import scaling
from benchmarks.timing import milliseconds
from benchmarks.work import Bits, Work, mnist_bits

PEERS = {"eager autograd": autograd, "nvil_loss on modules": general, "closed form, torch": closed_form}
SECONDS = {"peers": 50.0, "panel": 10.0, "scaling": 50.0}  # about; the whole takes some three minutes
UPDATES = 2_000_000  # of each of the figure's ten models


def main(json: bool = False) -> int:
    """Measure everything and print a table, or JSON. What is being measured goes to the error stream."""
    data = mnist_bits()
    rows = list(_rows(data))
    print(as_json(rows) if json else as_table(rows))
    return 0


def _rows(data: Bits) -> Iterator[Row]:
    on = f"{data.dataset}, minibatch 20"
    _say("an update and its peers, twice")
    yield from beside_peers("five variants", Work(data), SECONDS["peers"], on)
    full = Work(data, variants=("full",), seeds=(0, 1, 2, 3, 4))
    yield from beside_peers("full, five seeds", full, SECONDS["peers"], on)
    _say("the figure")
    yield from figure(
        data, SECONDS["panel"], peak_megabytes("generated" if data.dataset == "generated" else "mnist")
    )
    _say("scaling")
    yield from scaling(data, SECONDS["scaling"])


def beside_peers(name: str, work: Work, seconds: float, note: str = "") -> Iterator[Row]:
    """A row per peer, all measured in the same rounds."""
    contenders = {"ours": ours(work), "floor": floor(work), "Pyro TraceGraph_ELBO": pyro_elbo(work)}
    contenders |= {peer: ways(work) for peer, ways in PEERS.items()}
    found = milliseconds(contenders, seconds)
    own, products = found.pop("ours"), found.pop("floor")
    pyro = pyro_version()
    for peer, peer_ms in found.items():
        if not peer.startswith("Pyro"):
            yield Row(name, own, peer, peer_ms, products, note)
        elif pyro is None:
            yield Row(name, own, peer, peer_ms, products, "Pyro is not installed: pip install pyro-ppl")
        else:
            yield Row(name, own, f"Pyro {pyro}{peer.removeprefix('Pyro')}", peer_ms, products, note)


def figure(data: Bits, seconds: float, megabytes: float) -> Iterator[Row]:
    """Each panel, and both together with the time that 2 million updates of their ten models would take."""
    works = [Work(data, layers=layers) for layers in PANELS]
    found = [milliseconds({"ours": ours(work), "floor": floor(work)}, seconds) for work in works]
    for work, ms in zip(works, found, strict=True):
        name = f"panel SBN {'-'.join(map(str, reversed(work.layers)))}"
        yield Row(
            name, ms["ours"], floor_ms=ms["floor"], note=f"{_minutes([work], [ms['ours']]):.0f} minutes"
        )
    mean = {key: sum(ms[key] for ms in found) / len(found) for key in found[0]}
    minutes = _minutes(works, [ms["ours"] for ms in found])
    note = f"{minutes:.0f} minutes for 10 models x 2 million updates, peak memory {megabytes:.0f} MB"
    yield Row("both panels", mean["ours"], floor_ms=mean["floor"], note=note)


def _minutes(works: list[Work], milliseconds: list[float]) -> float:
    pairs = zip(works, milliseconds, strict=True)
    return sum(work.replicas * UPDATES * ms / 60_000 for work, ms in pairs)


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)
