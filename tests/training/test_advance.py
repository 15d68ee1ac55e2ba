"""The compiled engine against the closed form, and the promises `advance` makes about replicas and threads."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from nvil_repro.learning.nvil import VARIANTS, Ingredients, signal_state, stack_ingredients
from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet, belief_net, parameters
from nvil_repro.streams import uniforms
from nvil_repro.training.advance import Plan, TrainState, advance
from nvil_repro.training.optimisers import Optimiser, Rates, moments

FULL = Architecture(prior=True, visible=True, inference=True)
VISIBLE, BATCH, UPDATES = 7, 5, 12
SWITCHES = Ingredients(
    *(torch.tensor(row) for row in zip(*itertools.product([False, True], repeat=4), strict=True))
)


def rule_named(text: str) -> Optimiser:
    """ "momentum 0.5" is momentum with hidden units centred at 0.5."""
    name, _, centre = text.partition(" ")
    return Optimiser(name, centre=float(centre or 0))


def start(
    layers: tuple[int, ...],
    ingredients: Ingredients,
    groups: list[int],
    optimiser: str = "sgd",
    dtype: torch.dtype = torch.float64,
    rate: float = 0.05,
    architecture: Architecture = SBN,
    method: str = "nvil",
) -> tuple[TrainState, Plan]:
    """Fresh replicas, one per row of switches; replicas of one group start equal and read the same stream."""
    mean = torch.linspace(0, 0.6, VISIBLE, dtype=dtype)
    kinds = {"architecture": architecture, "baseline_units": 4, "scale": 0.7, "dtype": dtype}
    net = belief_net(VISIBLE, layers, groups, train_mean=mean, **kinds)
    rule = rule_named(optimiser)
    rates = Rates(*(torch.full((len(groups),), rate * factor, dtype=dtype) for factor in (1.0, 0.3, 0.2)))
    plan = Plan(ingredients, rates, rule, torch.tensor(groups), method=method)
    return TrainState(net, signal_state(len(layers), len(groups), dtype), moments(net, rule)), plan


def chunk(
    layers: tuple[int, ...], groups: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, list[Tensor]]:
    """Minibatches, and uniforms for h^1..h^L and for dreams of x, h^1..h^L."""
    x = (uniforms(1, "x", 0, (groups, UPDATES, BATCH, VISIBLE)) < 0.3).to(torch.uint8)
    sizes = (*layers, VISIBLE, *layers)
    return x, [uniforms(1, f"u{i}", 0, (groups, UPDATES, BATCH, h), dtype) for i, h in enumerate(sizes)]


def run(
    engine: str, layers: tuple[int, ...], *args: object, threads: int = 1, **kwargs: object
) -> tuple[Tensor, ...]:
    state, plan = start(layers, *args, **kwargs)  # type: ignore[arg-type]
    x, u = chunk(layers, int(plan.group.max()) + 1, state.net.prior.dtype)
    bounds = advance(state, plan, x, u, 0, engine=engine, threads=threads)
    flat = [part for buffer in state.moments for part in buffer]
    return (bounds, *(p for _, p in parameters(state.net)), *state.signals, *flat)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam", "sgd 0.5", "momentum 0.3", "adam 0.5"])
@pytest.mark.parametrize("layers", [(4,), (5, 3), (4, 3, 2)])
def test_engines_agree_for_every_switch(layers: tuple[int, ...], optimiser: str) -> None:
    groups = [0, 1] * 8
    slow = run("torch", layers, SWITCHES, groups, optimiser)
    fast = run("kernel", layers, SWITCHES, groups, optimiser, threads=2)
    for expected, found in zip(slow, fast, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "momentum 0.4"])
@pytest.mark.parametrize("layers", [(4,), (5, 3)])
def test_engines_agree_on_autoregressive_layers(layers: tuple[int, ...], optimiser: str) -> None:
    slow, fast = (
        run(engine, layers, SWITCHES, [0, 1] * 8, optimiser, architecture=FULL)
        for engine in ("torch", "kernel")
    )
    for expected, found in zip(slow, fast, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    state, _ = start(layers, SWITCHES, [0] * 16, architecture=FULL)
    moved = dict(zip([name for name, _ in parameters(state.net)], fast[1:], strict=False))
    for name, lateral in moved.items():
        if name.endswith("lateral"):
            assert lateral.any(), name  # control: they learn
            assert not lateral.tril().any(), name


@pytest.mark.parametrize("architecture", [SBN, FULL], ids=str)
@pytest.mark.parametrize("layers", [(4,), (5, 3)])
def test_engines_agree_on_wake_sleep(layers: tuple[int, ...], architecture: Architecture) -> None:
    kinds = {"architecture": architecture, "method": "wake-sleep"}
    slow, fast = (run(engine, layers, SWITCHES, [0, 1] * 8, **kinds) for engine in ("torch", "kernel"))
    nvil = run("kernel", layers, SWITCHES, [0, 1] * 8, architecture=architecture)
    for expected, found in zip(slow, fast, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert (slow[0] - nvil[0]).abs().max() > 1e-3  # control: another method


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "momentum 0.5"])
@pytest.mark.parametrize(
    ("visible", "layers", "batch"), [(83, (70, 137), 21), (1, (1, 1), 1), (3, (9, 2), 2), (67, (8, 33), 9)]
)
def test_engines_agree_at_odd_sizes_in_slices_and_chunks(
    monkeypatch: pytest.MonkeyPatch, visible: int, layers: tuple[int, ...], batch: int, optimiser: str
) -> None:
    """Every branch of the compiled code: rows by fours, sums by halves, ragged blocks, threads taking turns."""
    engine = pytest.importorskip("nvil_repro.kernels.engine")
    monkeypatch.setattr(engine, "SLICE", 2)
    x = (uniforms(1, "x", 0, (1, 7, batch, visible)) < 0.5).to(torch.uint8)
    u = [uniforms(1, f"u{i}", 0, (1, 7, batch, h), torch.float64) for i, h in enumerate(layers)]

    def trained(*chunks: tuple[int, int, int], engine: str) -> list[Tensor]:
        net = belief_net(
            visible, layers, [0] * 3, train_mean=torch.full((visible,), 0.4).double(), dtype=torch.float64
        )
        rule = rule_named(optimiser)
        rates = Rates(*(torch.full((3,), rate, dtype=torch.float64) for rate in (5e-4, 1e-4, 1e-4)))
        plan = Plan(
            stack_ingredients(["full", "vn", "none"]), rates, rule, torch.zeros(3, dtype=torch.int64), 0.6
        )
        state = TrainState(net, signal_state(len(layers), 3, torch.float64), moments(net, rule))
        bounds = [
            advance(state, plan, x[:, a:b], [part[:, a:b] for part in u], first, engine=engine, threads=2)
            for a, b, first in chunks
        ]
        return [torch.cat(bounds), *(p for _, p in parameters(net))]

    whole = trained((0, 7, 0), engine="torch")
    for expected, found in zip(whole, trained((0, 3, 0), (3, 7, 3), engine="kernel"), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    restarted = trained((0, 3, 0), (3, 7, 0), engine="kernel")
    same = all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(whole, restarted, strict=True))
    assert same == (optimiser != "adam")  # control: only Adam asks which update it is


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_a_signal_that_is_lost_stays_lost(engine: str) -> None:
    """A variance that is NaN must not pass for a small one."""
    state, plan = start((5, 3), stack_ingredients(["vn", "full"]), [0, 0])
    state.signals.variance[:, 0] = torch.nan
    x, u = chunk((5, 3), 1)
    bounds = advance(state, plan, x, u, 0, engine=engine)
    assert bounds[1:, 0].isnan().all()
    assert bounds[:, 1].isfinite().all()


def test_buffers_of_another_optimiser_or_net_are_refused() -> None:
    state, plan = start((5, 3), stack_ingredients(["full"]), [0])
    rule, other = rule_named("adam"), start((5, 4), stack_ingredients(["full"]), [0])[0].net
    plan, (x, u) = plan._replace(optimiser=rule), chunk((5, 3), 1)
    right = moments(state.net, rule)
    for wrong in ((), right[:1], moments(other, rule), (right[0], right[1][:-1])):
        with pytest.raises(ValueError, match="moments do not fit: adam keeps 2 buffers"):
            advance(state._replace(moments=wrong), plan, x, u, 0)
    advance(state._replace(moments=right), plan, x, u, 0)  # control


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_what_does_not_fit_is_refused_before_any_work(engine: str) -> None:
    state, plan = start((5, 3), stack_ingredients(["full"]), [0])
    x, u = chunk((5, 3), 1)

    def refused(
        message: str, x: Tensor = x, u: list[Tensor] = u, plan: Plan = plan, net: BeliefNet = state.net
    ) -> None:
        with pytest.raises(ValueError, match=message):
            advance(state._replace(net=net), plan, x, u, 0, engine=engine)

    refused(r"x is torch.uint8 .*: expected bits, uint8 \[G, T, B, 7\]", x=x * 2)
    refused("x is torch.float32", x=x.float())
    refused("x is torch.uint8", x=x[..., :6])
    refused(r"uniforms\[1\] is torch.float64 .*: expected torch.float64", u=[u[0], u[1][..., :2]])
    refused(r"uniforms\[0\] is torch.float32", u=[u[0].float(), u[1]])
    refused("2 arrays of uniforms: wake-sleep needs 5", u=u[:2], plan=plan._replace(method="wake-sleep"))
    wide = state.net._replace(prior_lateral=torch.zeros(1, 2, 2).double())
    refused(r"model/prior_lateral is .* \[1, 2, 2\]: expected .* \[1, 3, 3\]", net=wide)
    refused("the net has no baselines", net=state.net._replace(baselines=()))
    for message, changed in (
        ("moments do not fit: sgd keeps 0 buffers", state._replace(moments=(state.net.prior,))),
        (r"the signals' mean is .* \[2, 2\]", state._replace(signals=signal_state(2, 2, torch.float64))),
        ("the signals' mean is torch.float32", state._replace(signals=signal_state(2, 1))),
    ):
        with pytest.raises(ValueError, match=message):
            advance(changed, plan, x, u, 0, engine=engine)
    before = state.net.prior.clone()
    advance(state, plan, x, u, 0, engine=engine)  # control: what fits is taken
    assert not torch.equal(before, state.net.prior)


def test_engines_agree_on_a_net_without_baselines() -> None:
    found = []
    for engine in ("torch", "kernel"):
        state, plan = start((5, 3), stack_ingredients(["baseline_vn", "none"]), [0, 0], "adam")
        bare = state.net._replace(baselines=())
        state = state._replace(net=bare, moments=moments(bare, plan.optimiser))
        x, u = chunk((5, 3), 1)
        found.append((advance(state, plan, x, u, 0, engine=engine), *(p for _, p in parameters(bare))))
    for expected, same in zip(*found, strict=True):
        torch.testing.assert_close(same, expected, rtol=0, atol=1e-10)
    assert len(found[0]) == 2 + 4 + 4  # control: bounds and prior, weights and biases of P and Q, and no more


def test_the_comparison_would_notice_one_switch_of_one_replica() -> None:
    flipped = SWITCHES._replace(input_baseline=SWITCHES.input_baseline.clone())
    flipped.input_baseline[3] = ~flipped.input_baseline[3]
    right, wrong = (run("kernel", (5, 3), s, [0, 1] * 8) for s in (SWITCHES, flipped))
    differs = [(a - b).abs().amax().item() > 1e-6 for a, b in zip(right[1:-2], wrong[1:-2], strict=True)]
    assert all(
        differs[i]
        for i, (name, _) in enumerate(parameters(start((5, 3), SWITCHES, [0] * 16)[0].net))
        if name.startswith("inference")
    )


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_a_replica_does_not_depend_on_its_companions(engine: str) -> None:
    names = list(VARIANTS)
    together = run(engine, (5, 3), stack_ingredients(names), [0] * 5, dtype=torch.float32)
    alone = run(engine, (5, 3), stack_ingredients(names[2:3]), [0], dtype=torch.float32)
    assert torch.equal(together[0][:, 2], alone[0][:, 0])
    assert not torch.equal(together[0][:, 1], alone[0][:, 0])  # control: another replica differs
    for a, b in zip(together[1:-2], alone[1:-2], strict=True):
        assert torch.equal(a[2], b[0])


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads: int) -> None:
    one = run("kernel", (5, 3), SWITCHES, [0, 1] * 8, dtype=torch.float32)
    many = run("kernel", (5, 3), SWITCHES, [0, 1] * 8, dtype=torch.float32, threads=threads)
    assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


def denormals(state: TrainState) -> int:
    parts = [part for buffer in state.moments for part in buffer]
    return sum(int(((part != 0) & (part.abs() < torch.finfo(part.dtype).tiny)).sum()) for part in parts)


@pytest.mark.parametrize(("engine", "threads"), [("kernel", 1), ("kernel", 3), ("torch", 1)])
def test_idle_moments_fade_to_zero_and_not_into_denormals(
    engine: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fade() -> TrainState:
        state, plan = start((5, 3), SWITCHES, [0] * 16, "momentum", torch.float32, rate=0.0)
        state.net.prior.fill_(-200.0)  # units that are never on
        for part in (part for buffer in state.moments for part in buffer):
            part.fill_(1.2e-38)  # just above
        x, u = chunk((5, 3), 1, torch.float32)
        advance(state, plan, x[:, :2], [part[:, :2] for part in u], 0, engine=engine, threads=threads)
        return state

    assert denormals(fade()) == 0
    assert torch.tensor(1e-39) * 1 != 0  # only meanwhile
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    assert denormals(fade()) > 0  # control


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_a_diverging_replica_disturbs_no_other(engine: str) -> None:
    def bounds(factor: float) -> Tensor:
        state, plan = start((5, 3), stack_ingredients(["full", "none"]), [0, 0])
        plan.rates.model[1] *= factor
        x, u = chunk((5, 3), 1)
        return advance(state, plan, x, u, 0, engine=engine)

    calm, wild = bounds(1.0), bounds(float("inf"))
    assert torch.equal(calm[:, 0], wild[:, 0])
    assert wild[2:, 1].isnan().all()


@pytest.mark.parametrize("layers", [(5, 3), (70, 37)])
def test_float32_stays_within_rounding_of_float64(layers: tuple[int, ...]) -> None:
    """With rows shorter than a vector and longer."""
    state32, plan32 = start(layers, SWITCHES, [0] * 16, dtype=torch.float32, rate=1e-4)
    state64, plan64 = start(layers, SWITCHES, [0] * 16, rate=1e-4)
    for (_, p), (_, q) in zip(parameters(state64.net), parameters(state32.net), strict=True):
        p.copy_(q)
    x, u = chunk(layers, 1, torch.float32)
    single = advance(state32, plan32, x, u, 0, engine="kernel")
    double = advance(state64, plan64, x, [part.double() for part in u], 0, engine="torch")
    torch.testing.assert_close(single.double(), double, rtol=2e-6, atol=2e-5)
    for (_, p), (_, q) in zip(parameters(state64.net), parameters(state32.net), strict=True):
        torch.testing.assert_close(q.double(), p, rtol=2e-6, atol=2e-6)


def test_unknown_engine_is_named() -> None:
    state, plan = start((3,), stack_ingredients(["full"]), [0])
    x, u = chunk((3,), 1)
    with pytest.raises(ValueError, match="unknown engine 'tpu'; choose from kernel, graph, torch"):
        advance(state, plan, x, u, 0, engine="tpu")
