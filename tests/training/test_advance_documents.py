"""The compiled engine on documents against the closed form on dense counts; its promises on replicas and threads."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from nvil_repro.data.counts import Counts, from_dense
from nvil_repro.kernels import documents_decoder, documents_engine
from nvil_repro.learning.nvil import VARIANTS, Ingredients, signal_state, stack_ingredients
from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet, parameters
from nvil_repro.models.document_net import document_net
from nvil_repro.streams import stream, uniforms
from nvil_repro.training import weight_decay
from nvil_repro.training.advance import Plan, TrainState
from nvil_repro.training.advance_documents import advance_documents
from nvil_repro.training.optimisers import Rates, moments
from tests.training.test_advance import rule_named

VOCABULARY, DOCUMENTS, BATCH, UPDATES = 9, 12, 5, 7
SWITCHES = Ingredients(
    *(torch.tensor(row) for row in zip(*itertools.product([False, True], repeat=4), strict=True))
)
FDARN, FULL = Architecture(prior=True), Architecture(prior=True, inference=True)


def corpus(vocabulary: int = VOCABULARY, documents: int = DOCUMENTS) -> Counts:
    """Words of very different frequencies, one of them in every document and one in none."""
    rates = np.exp(stream(0, "frequencies").normal(size=vocabulary)) * 0.5
    dense = stream(0, "documents").poisson(rates, (documents, vocabulary))
    dense[:, 0], dense[:, -1] = dense[:, 0] + 1, 0
    return from_dense(dense)


def start(
    train: Counts,
    layers: tuple[int, ...],
    ingredients: Ingredients,
    groups: list[int],
    optimiser: str = "sgd",
    architecture: Architecture = SBN,
    dtype: torch.dtype = torch.float64,
    rate: float = 0.02,
) -> tuple[TrainState, Plan]:
    """Replicas of which none is zero anywhere, one per row of switches; those of one group start equal."""
    net = document_net(train, layers, groups, architecture=architecture, baseline_units=4, dtype=dtype)
    for i, (name, parameter) in enumerate(parameters(net)):
        noise = torch.stack([uniforms(g, name, i, tuple(parameter.shape[1:]), dtype) for g in groups]) - 0.5
        parameter.add_(noise.triu(1) if name.endswith("lateral") else noise)
    rule, ones = rule_named(optimiser), torch.ones(len(groups), dtype=dtype)
    plan = Plan(
        ingredients, Rates(rate * ones, 0.3 * rate * ones, 0.2 * rate * ones), rule, torch.tensor(groups)
    )
    return TrainState(net, signal_state(len(layers), len(groups), dtype), moments(net, rule)), plan


def run(
    engine: str,
    layers: tuple[int, ...] = (5, 3),
    ingredients: Ingredients = SWITCHES,
    groups: tuple[int, ...] = (0, 1) * 8,
    *args: Any,
    train: Counts | None = None,
    batch: int = BATCH,
    chunks: tuple[int, ...] = (0, 4, UPDATES),
    weight_decay: float = 0.0,
    threads: int = 1,
    **kwargs: Any,
) -> list[Tensor]:
    """All that an update moves, after chunks of updates that begin and end at `chunks`."""
    train = train or corpus()
    state, plan = start(train, layers, ingredients, list(groups), *args, **kwargs)
    shape = (max(groups) + 1, chunks[-1], batch)
    cases = torch.from_numpy(stream(1, "cases").integers(train.documents, size=shape))
    u = [uniforms(1, f"u{i}", 0, (*shape, h), state.net.prior.dtype) for i, h in enumerate(layers)]
    objective = [
        advance_documents(
            state, plan, train, cases[:, a:b], [part[:, a:b] for part in u], a,
            weight_decay=weight_decay, engine=engine, threads=threads,
        )
        for a, b in itertools.pairwise(chunks)
    ]  # fmt: skip
    flat = [part for buffer in state.moments for part in buffer]
    return [torch.cat(objective), *(p for _, p in parameters(state.net)), *state.signals, *flat]


def assert_engines_agree(*args: Any, **kwargs: Any) -> None:
    slow, fast = (run(engine, *args, **kwargs) for engine in ("torch", "kernel"))
    for expected, found in zip(slow, fast, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam", "sgd 0.5", "momentum 0.3", "adam 0.5"])
@pytest.mark.parametrize(("layers", "decay"), [((4,), 0.7), ((5, 3), 0.0), ((5, 3), 0.7), ((4, 3, 2), 0.7)])
def test_engines_agree_for_every_switch(layers: tuple[int, ...], decay: float, optimiser: str) -> None:
    """On replicas that read two streams, through two chunks, with words that rest and words that never come."""
    assert_engines_agree(layers, SWITCHES, (0, 1) * 8, optimiser, weight_decay=decay)


@pytest.mark.parametrize("architecture", [FDARN, FULL], ids=str)
@pytest.mark.parametrize("optimiser", ["sgd", "adam", "momentum 0.4"])
@pytest.mark.parametrize("layers", [(4,), (5, 3)])
def test_engines_agree_on_autoregressive_layers(
    layers: tuple[int, ...], optimiser: str, architecture: Architecture
) -> None:
    assert_engines_agree(layers, SWITCHES, (0, 1) * 8, optimiser, architecture, weight_decay=0.7)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "momentum 0.5"])
@pytest.mark.parametrize(
    ("vocabulary", "layers", "batch"), [(83, (70, 37), 21), (1, (1, 1), 1), (33, (9, 2), 2), (64, (8, 33), 9)]
)
def test_engines_agree_at_odd_sizes_in_slices(
    monkeypatch: pytest.MonkeyPatch, vocabulary: int, layers: tuple[int, ...], batch: int, optimiser: str
) -> None:
    """Rows by fours, ragged blocks of words, threads taking turns."""
    monkeypatch.setattr(documents_engine, "SLICE", 2)
    train = corpus(vocabulary + 1, 30)
    rows = stack_ingredients(["full", "vn", "none"])
    kinds = {"train": train, "batch": batch, "threads": 2, "weight_decay": 3.0, "rate": 1e-4}
    assert_engines_agree(layers, rows, (0, 0, 0), optimiser, **kinds)


def test_engines_agree_on_more_words_than_a_block() -> None:
    train = corpus(documents_decoder.COLUMNS + 77, 20)
    assert_engines_agree((5,), stack_ingredients(["full"]), (0,), "momentum 0.5", train=train, rate=1e-4)


def test_engines_agree_where_one_word_has_almost_all_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp of such logits overflows unless the largest of them, of the block and of all, is taken off before."""

    plain = document_net

    def steep(*args: Any, **kwargs: Any) -> BeliefNet:
        net = plain(*args, **kwargs)
        for word, logit in ((3, 900.0), (37, -900.0), (documents_decoder.COLUMNS + 5, 1_000.0)):
            net.generative[0].bias[:, word] = logit
        return net

    monkeypatch.setattr(sys.modules[__name__], "document_net", steep)
    train = corpus(documents_decoder.COLUMNS + 77, 20)
    assert_engines_agree((5,), stack_ingredients(["full"]), (0,), "sgd", train=train, rate=1e-6)


def test_chunks_change_no_more_than_rounding() -> None:
    """What is made up for at the end of a chunk is what was not done within it."""
    for optimiser in ("sgd", "momentum", "adam"):
        arguments = ((5, 3), SWITCHES, (0, 1) * 8, optimiser)
        whole, parts = (
            run("kernel", *arguments, chunks=chunks, weight_decay=0.5)
            for chunks in ((0, UPDATES), tuple(range(UPDATES + 1)))
        )
        for a, b in zip(whole, parts, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


class TestControls:
    """The comparison notices the mistakes it is there for."""

    @pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
    @pytest.mark.parametrize("broken", ["decay", "centre", "switch"])
    def test_a_small_mistake(self, broken: str, optimiser: str, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = run("kernel", (5, 3), SWITCHES, (0, 1) * 8, optimiser, weight_decay=0.5)
        decay, switches = 0.5, SWITCHES
        if broken == "decay":
            decay = 0.5001
        elif broken == "centre":
            monkeypatch.setattr("nvil_repro.models.belief_net.inputs", lambda net, x, h: [x, *h[:1]])
        else:
            switches = SWITCHES._replace(input_baseline=~SWITCHES.input_baseline)
        found = run("torch", (5, 3), switches, (0, 1) * 8, optimiser, weight_decay=decay)
        assert any((a - b).abs().max() > 1e-7 for a, b in zip(expected, found, strict=True))

    def test_weight_decay_reaches_the_weights_of_the_model_and_nothing_else(self) -> None:
        state, plan = start(corpus(), (5, 3), stack_ingredients(["full"]), [0], architecture=FULL)
        before = {name: p.clone() for name, p in parameters(state.net)}
        weight_decay.decay_weights(state.net, plan.rates, 2.0)
        for name, p in parameters(state.net):
            shrinks = p.ndim == 3 and name.startswith("model")
            torch.testing.assert_close(p, before[name] * (1 - 2 * 0.02 if shrinks else 1), rtol=1e-12, atol=0)


def test_centred_units_leave_the_logits_at_the_centre_alone() -> None:
    """Weight decay with hidden units centred at 1/2 moves no logit of a unit whose inputs are all 1/2."""
    state, plan = start(corpus(), (5, 3), stack_ingredients(["full"]), [0])
    layer = state.net.generative[0]
    half = torch.full((1, 1, 5), 0.5, dtype=torch.float64)
    before = layer.feedforward(half)
    weight_decay.decay_weights(state.net, plan.rates, 3.0, centre=0.5)
    torch.testing.assert_close(layer.feedforward(half), before, rtol=0, atol=1e-12)
    weight_decay.decay_weights(state.net, plan.rates, 3.0)
    assert (layer.feedforward(half) - before).abs().max() > 1e-3  # control


def test_a_replica_does_not_depend_on_its_companions_nor_on_threads() -> None:
    names = list(VARIANTS)
    for optimiser in ("momentum", "adam"):
        kinds = {"dtype": torch.float32, "weight_decay": 0.1}
        together = run("kernel", (5, 3), stack_ingredients(names), (0,) * 5, optimiser, **kinds)
        threads = run("kernel", (5, 3), stack_ingredients(names), (0,) * 5, optimiser, threads=3, **kinds)
        alone = run("kernel", (5, 3), stack_ingredients(names[2:3]), (0,), optimiser, **kinds)
        assert all(torch.equal(a, b) for a, b in zip(together, threads, strict=True))
        assert torch.equal(together[0][:, 2], alone[0][:, 0])
        assert not torch.equal(together[0][:, 1], alone[0][:, 0])  # control: another replica differs
        trained = [
            i for i, part in enumerate(together) if i and len(part) == 5
        ]  # the signals' state has layers first
        assert len(trained) > len(together) // 2
        assert all(torch.equal(together[i][2], alone[i][0]) for i in trained)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("vocabulary", "layers"), [(VOCABULARY, (5, 3)), (83, (70, 37))])
def test_float32_stays_within_rounding_of_float64(
    vocabulary: int, layers: tuple[int, ...], optimiser: str
) -> None:
    """With rows shorter than a vector and longer."""
    train, rows = corpus(vocabulary), stack_ingredients(["full", "none"])
    state32, plan32 = start(train, layers, rows, [0, 0], optimiser, dtype=torch.float32, rate=1e-3)
    state64, plan64 = start(train, layers, rows, [0, 0], optimiser, rate=1e-3)
    for (_, p), (_, q) in zip(parameters(state64.net), parameters(state32.net), strict=True):
        p.copy_(q)
    cases = torch.arange(10).view(1, 5, 2)
    u = [uniforms(1, f"u{i}", 0, (1, 5, 2, h)) for i, h in enumerate(layers)]
    single = advance_documents(state32, plan32, train, cases, u, 0, weight_decay=1.0)
    double = advance_documents(
        state64, plan64, train, cases, [part.double() for part in u], 0, weight_decay=1.0, engine="torch"
    )
    torch.testing.assert_close(single, double, rtol=0, atol=2e-5)


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_a_diverging_replica_disturbs_no_other(engine: str) -> None:
    def objective(factor: float) -> Tensor:
        train = corpus()
        state, plan = start(train, (5, 3), stack_ingredients(["full", "none"]), [0, 0])
        plan.rates.model[1] *= factor
        cases = torch.arange(10).view(1, 5, 2)
        u = [uniforms(1, f"u{i}", 0, (1, 5, 2, h), torch.float64) for i, h in enumerate((5, 3))]
        return advance_documents(state, plan, train, cases, u, 0, engine=engine)

    calm, wild = objective(1.0), objective(float("inf"))
    assert torch.equal(calm[:, 0], wild[:, 0])
    assert wild[2:, 1].isnan().all()


@pytest.mark.parametrize("engine", ["kernel", "torch"])
def test_what_does_not_fit_is_refused_before_any_work(engine: str) -> None:
    train = corpus()
    state, plan = start(train, (5, 3), stack_ingredients(["full"]), [0])
    cases = torch.arange(10).view(1, 5, 2)
    u = [uniforms(1, f"u{i}", 0, (1, 5, 2, h), torch.float64) for i, h in enumerate((5, 3))]

    def refused(message: str, **changes: Any) -> None:
        given = {"state": state, "plan": plan, "train": train, "cases": cases, "uniforms": u} | changes
        with pytest.raises(ValueError, match=message):
            advance_documents(**given, first_update=0, engine=engine)

    refused("documents of 4 words for a net of 9", train=corpus(4))
    refused(r"cases are torch.int32 \[1, 5, 2\]: expected int64", cases=cases.int())
    refused("cases are documents 3 to 12: expected 0 to 11", cases=cases + 3)
    refused("cases are documents -1 to 8", cases=cases - 1)
    refused("1 arrays of uniforms: expected one for each of 2 layers", uniforms=u[:1])
    refused(r"uniforms\[1\] is torch.float64 .*: expected torch.float64", uniforms=[u[0], u[1][..., :2]])
    wide = state.net._replace(prior_lateral=torch.zeros(1, 2, 2).double())
    refused(r"model/prior_lateral is .* \[1, 2, 2\]: expected .* \[1, 3, 3\]", state=state._replace(net=wide))
    refused("the net has no baselines", state=state._replace(net=state.net._replace(baselines=())))
    for message, changed in (
        ("moments do not fit: sgd keeps 0 buffers", state._replace(moments=(state.net.prior,))),
        (r"the signals' mean is .* \[2, 2\]", state._replace(signals=signal_state(2, 2, torch.float64))),
        ("the signals' mean is torch.float32", state._replace(signals=signal_state(2, 1))),
    ):
        with pytest.raises(ValueError, match=message):
            advance_documents(changed, plan, train, cases, u, 0, engine=engine)
    before = state.net.prior.clone()
    advance_documents(state, plan, train, cases, u, 0, engine=engine)  # control: what fits is taken
    assert not torch.equal(before, state.net.prior)


def test_engines_agree_on_a_net_without_baselines() -> None:
    train, found = corpus(), []
    for engine in ("torch", "kernel"):
        state, plan = start(train, (5, 3), stack_ingredients(["baseline_vn", "none"]), [0, 0], "adam")
        bare = state.net._replace(baselines=())
        state = state._replace(net=bare, moments=moments(bare, plan.optimiser))
        cases = torch.arange(10).view(1, 5, 2)
        u = [uniforms(1, f"u{i}", 0, (1, 5, 2, h), torch.float64) for i, h in enumerate((5, 3))]
        objective = advance_documents(state, plan, train, cases, u, 0, engine=engine)
        found.append((objective, *(p for _, p in parameters(bare))))
    for expected, same in zip(*found, strict=True):
        torch.testing.assert_close(same, expected, rtol=0, atol=1e-10)


def test_unknown_engine_is_named() -> None:
    train = corpus()
    state, plan = start(train, (3,), stack_ingredients(["full"]), [0])
    u = [uniforms(1, "u0", 0, (1, 5, 2, 3), torch.float64)]
    with pytest.raises(ValueError, match="unknown engine 'tpu'; choose from kernel, torch"):
        advance_documents(state, plan, train, torch.arange(10).view(1, 5, 2), u, 0, engine="tpu")
