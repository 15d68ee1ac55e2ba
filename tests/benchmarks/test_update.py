"""The benchmarks run, at a tiny size, and report the documented keys. What they measure is nobody's promise."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from benchmarks import memory, update
from benchmarks.floor import multiply_adds
from benchmarks.gpu import gpu
from benchmarks.pyro_peer import pyro_elbo
from benchmarks.rows import KEYS, Row, as_json, as_table
from benchmarks.scaling import scaling
from benchmarks.timing import Way, milliseconds
from benchmarks.work import Bits, Work, generated_bits
from nvil_repro.models.belief_net import Architecture
from nvil_repro.reproduction import bench_command


def tiny(data: Bits) -> Work:
    return Work(data, layers=(4, 3), batch=5, chunk=2)


def test_every_contender_has_a_row_with_the_documented_keys(data: Bits) -> None:
    rows = list(update.beside_peers("tiny", tiny(data), seconds=0))
    records = json.loads(as_json(rows))
    assert [tuple(record) for record in records] == [KEYS] * 4
    assert {"name", "ours_ms", "peer", "peer_ms", "floor_ms", "ratio_peer", "ratio_floor", "machine"} < set(
        KEYS
    )
    for record in records:
        assert record["ours_ms"] > 0
        assert record["floor_ms"] > 0
        if record["peer_ms"] is not None:
            assert record["ratio_peer"] == pytest.approx(record["peer_ms"] / record["ours_ms"])
    assert "torch" in records[0]["machine"]


def test_without_pyro_its_row_says_so(data: Bits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "pyro_version", lambda: None)
    monkeypatch.setattr(update, "pyro_elbo", lambda work: [])
    row = next(update.beside_peers("tiny", tiny(data), seconds=0))
    assert row.peer == "Pyro TraceGraph_ELBO"
    assert "not installed" in row.note
    record = json.loads(as_json([row]))[0]
    assert record["peer_ms"] is record["ratio_peer"] is None


def test_the_figure_and_the_scaling_have_their_rows(data: Bits) -> None:
    rows = list(update.figure(data, seconds=0, megabytes=123.4))
    assert [row.name for row in rows] == ["panel SBN 200", "panel SBN 200-200", "both panels"]
    assert "peak memory 123 MB" in rows[-1].note
    names = [row.name for row in scaling(data, 0, replicas=(1, 3), hidden=(4,), batches=(5, 10))]
    assert names == ["1 replica", "3 replicas", "SBN 4-4", "minibatch 5", "minibatch 10"]
    memory.train_panels(data, chunks=1)


def test_replicas_on_a_gpu(data: Bits, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is here."""
    found = list(gpu(data, 0, device="cpu", seeds=(1, 2)))
    assert [row.name for row in found] == ["SBN 200, GPU"] * 2 + ["SBN 200-200, GPU"] * 2
    assert all(row.ours_ms > 0 and row.peer_ms > 0 for row in found)
    assert found[1].note.startswith(f"10 replicas, {found[1].ours_ms * 10:.2f} ms an update, on cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert list(gpu(data, 0)) == []


def test_the_minutes_of_the_figure() -> None:
    """Five models, two million updates each, a millisecond an update: ten thousand seconds."""
    work = Work(generated_bits(cases=60, visible=12))
    assert update.minutes(work, 1.0) == pytest.approx(10_000 / 60)


def test_main_prints_json_or_a_table(
    data: Bits, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rows = [Row("a", 0.5, "peer", 15.0, 0.25), Row("b", 0.5)]
    monkeypatch.setattr(update, "mnist_bits", lambda: data)
    monkeypatch.setattr(update, "PARTS", {"one": lambda data: rows[:1], "other": lambda data: iter(rows[1:])})
    assert update.main(json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(r["ratio_peer"], r["ratio_floor"]) for r in found] == [(30.0, 2.0), (None, None)]
    assert update.main() == 0
    assert as_table(rows) in capsys.readouterr().out
    assert update.main(parts=["other"]) == 0
    assert as_table(rows[1:]) in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown part 'third': choose from one, other"):
        update.main(parts=["one", "third"])


def test_rounds_are_interleaved_and_the_fastest_way_of_a_contender_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, now = [], [0.0]
    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: now[0])

    def way(name: str, cost: float) -> Way:
        def run() -> None:
            calls.append(name)
            now[0] += cost

        return Way(run, updates=10)

    found = milliseconds(
        {"a": [way("slow", 2.0), way("fast", 1.0)], "b": [way("b", 3.0)], "none": []}, 0, least=2
    )
    assert calls == ["slow", "slow", "fast", "fast", "b", "b"] * 2
    assert (found["a"], found["b"]) == pytest.approx((100.0, 300.0))
    assert math.isnan(found["none"])


def test_the_products_of_the_net_in_the_paper() -> None:
    """All baselines on: forward and gradient of 492,500 weights for 20 cases."""
    wide = Work(generated_bits(cases=60, visible=784), variants=("full",))
    weights = 2 * (784 * 200 + 200 * 200) + (784 + 200 + 2) * 100
    assert multiply_adds(wide) == 2 * 20 * weights
    assert multiply_adds(Work(wide.data, variants=("vn",))) < multiply_adds(wide)


def test_the_products_of_other_networks() -> None:
    """Wake-sleep goes forward twice and has no baselines; a triangle is half a square, forward and gradient."""
    vn = Work(generated_bits(cases=60, visible=784), variants=("vn",))
    weights = 2 * (784 * 200 + 200 * 200)
    assert multiply_adds(replace(vn, method="wake-sleep", variants=("",))) == 3 * 20 * weights
    for architecture, triangles in (
        (Architecture(prior=True), 200**2),
        (Architecture(inference=True), 2 * 200**2),
        (Architecture(prior=True, visible=True), 200**2 + 784**2),
    ):
        found = multiply_adds(replace(vn, architecture=architecture))
        assert found == 2 * 20 * (weights + triangles / 2)


def test_pyro_moves_every_parameter(data: Bits) -> None:
    pyro = pytest.importorskip("pyro")
    pyro.clear_param_store()
    way = pyro_elbo(replace(tiny(data), variants=("full",)))[0]
    way.run()
    store = pyro.get_param_store()
    weights = {name: p.clone() for name, p in store.items() if p.numel() and not name.startswith("_")}
    assert {name[0] for name in weights} == {"p", "q", "c"}
    for _ in range(3):
        way.run()
    still = [
        name
        for name, p in pyro.get_param_store().items()
        if name in weights and torch.equal(p, weights[name])
    ]
    assert not still


def test_the_command_names_every_part() -> None:
    assert tuple(update.PARTS) == bench_command.PARTS
