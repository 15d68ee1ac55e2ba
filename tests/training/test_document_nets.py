"""Document nets in the loop: what they are given at each update, and runs stopped, resumed, shared out, refused."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.document_bounds import document_bounds
from nvil_repro.models.belief_net import Architecture
from nvil_repro.streams import stream, uniforms
from nvil_repro.training import document_nets as module
from nvil_repro.training.advance import TrainState
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.document_nets import DocumentNets, DocumentSettings, train
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from nvil_repro.trees import leaves, replica
from tests.training.promises import Toy, check_forgetting_is_noticed, check_resumes, forget
from tests.training.toys import rows_of, same

ENGINES = [
    "torch",
    pytest.param("kernel", marks=pytest.mark.skipif(not find_spec("numba"), reason="needs numba")),
]
SETTINGS = DocumentSettings(
    layers=(3, 2),
    updates=25,
    variants=("full", "none"),
    rate=1e-2,
    inference_rate=1e-2,
    baseline_rate=1e-2,
    weight_decay=0.5,
    optimiser=Optimiser("momentum"),
    batch_size=8,
    baseline_units=4,
    eval_every=10,
    validation_samples=2,
    chunk=5,
    engine="torch",
    checkpoint_seconds=0,
)


def toy_corpus(seed: int = 0) -> Corpus:
    """64 documents of two topics, about seven words long, and 16 to validate."""
    generator = stream(seed, "toy documents")
    topics = np.array([[4.0, 2.0, 0.5, 0.0, 0.1, 0.4], [0.0, 0.4, 0.1, 4.0, 2.0, 0.5]])
    dense = generator.poisson(topics[generator.integers(0, 2, 80)])
    dense[:, 5] += dense.sum(1) == 0
    train, valid = from_dense(dense[:64]), from_dense(dense[64:])
    return Corpus(train, valid, valid, tuple("abcdef"), "toy")


TOY = Toy(train, DocumentNets, SETTINGS, toy_corpus())


@pytest.mark.parametrize("engine", ENGINES)
def test_training_raises_the_bound_per_word(engine: str) -> None:
    settings = replace(
        SETTINGS, engine=engine, updates=400, variants=("full",), weight_decay=0.0, eval_every=50
    )
    result = train(settings, toy_corpus(), progress="off")
    values = [row["value"] for row in result.history if row["split"] == "valid"]
    assert max(values) > values[0] + 0.1
    assert {row["metric"] for row in result.history} == {"bound_per_word"}


def test_the_metric_is_minus_the_log_of_the_perplexity_per_document() -> None:
    result, valid = train(SETTINGS, toy_corpus(), progress="off"), toy_corpus().valid
    row = [row for row in result.history if row["split"] == "valid"][-2]
    bounds = document_bounds(replica(result.final, 0), valid, 2, name="valid").values[0].numpy()
    assert row["value"] == pytest.approx((bounds / valid.lengths).mean(), rel=1e-12)
    assert row["n"] == 16
    assert row["value"] != pytest.approx(
        bounds.sum() / valid.lengths.sum(), rel=1e-4
    )  # control: of the corpus


def test_minibatches_uniforms_rates_and_decay_are_those_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Any, ...]] = []

    def noted(
        state: TrainState, plan: Any, data: Any, cases: Tensor, draws: Any, *rest: Any, **how: Any
    ) -> Tensor:
        seen.append((plan, cases, draws, rest, how))
        return torch.zeros(cases.shape[1], state.net.replicas)

    monkeypatch.setattr(module, "advance_documents", noted)
    train(replace(SETTINGS, seeds=(4, 1), decay_from=5), toy_corpus(), progress="off")
    assert [rest for *_, rest, _ in seen] == [(first,) for first in (0, 5, 10, 15, 20)]
    assert {how["weight_decay"] for *_, how in seen} == {0.5}
    rates = torch.stack([plan.rates.model[0] for plan, *_ in seen])
    torch.testing.assert_close(rates, 1e-2 * torch.tensor([1.0, 1.0, 0.75, 0.5, 0.25]))
    for r, seed in enumerate((4, 1)):
        expected = minibatch_indices(64, 8, 0, 25, seed)
        assert torch.equal(torch.cat([cases[r] for _, cases, *_ in seen]), expected)
        for chunk, (_, _, draws, *_) in enumerate(seen):
            assert torch.equal(draws[1][r], uniforms(seed, "h2", chunk, (5, 8, 2)))


@pytest.mark.parametrize("engine", ENGINES)
def test_companions_and_threads_change_no_number(engine: str) -> None:
    settings = replace(SETTINGS, seeds=(4, 0), engine=engine)
    together = train(settings, toy_corpus(), progress="off", threads=1)
    assert same(together, train(settings, toy_corpus(), progress="off", threads=2))
    alone = train(replace(settings, seeds=(0,), variants=("none",)), toy_corpus(), progress="off")
    assert rows_of(alone, "none", 0) == rows_of(together, "none", 0)
    assert rows_of(alone, "none", 0) != rows_of(together, "full", 0)  # control
    for (name, a), (_, b) in zip(leaves(alone.state), leaves(together.state), strict=True):
        if name.startswith("signals"):
            assert torch.equal(a[:, 0], b[:, 3])
        elif a.ndim > 1:
            assert torch.equal(a[0], b[3])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, after: bool, engine: str) -> None:
    toy = TOY._replace(settings=replace(SETTINGS, engine=engine))
    check_resumes(toy, tmp_path, range(1, 6), after=after)


def test_the_comparison_notices_a_run_that_forgets_its_moments(tmp_path: Path) -> None:
    check_forgetting_is_noticed(TOY, tmp_path, 4, forget("moments"))


def test_early_stopping_gives_the_best_back() -> None:
    settings = replace(SETTINGS, updates=2000, rate=0.3, patience=2, variants=("full",))
    result = train(settings, toy_corpus(), progress="off")
    assert result.updates < 2000
    best = document_bounds(result.final, toy_corpus().valid, 2, name="valid").per_word()[0]
    assert best.item() == result.best.value[0].item()


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"weight_decay": 0.2}, {"layers": (4,)}, {"seeds": (1,)}, {"rate": 0.02}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"weight_decay: 0\.5 -> 0\.2"):
        train(replace(SETTINGS, weight_decay=0.2), toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"data\.sha256"):
        train(SETTINGS, toy_corpus(1), tmp_path, progress="off")


def test_the_defaults_are_the_paper_s() -> None:
    settings = DocumentSettings()
    assert (settings.layers, settings.batch_size, settings.weight_decay) == ((50,), 20, 0.0)
    assert (settings.rate, settings.inference_rate) == (3e-5, 6e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_decay": -1.0}, "weight_decay=-1.0: expected a finite number of at least 0"),
        ({"weight_decay": 101.0}, "weight_decay=101.0: expected at most 1 / rate"),
        ({"method": "wake-sleep", "variants": ("",)}, "method='wake-sleep': document nets have 'nvil' alone"),
        ({"architecture": Architecture(visible=True)}, "architecture.visible=True: document nets have False"),
        ({"batch_size": 0}, "batch_size=0: expected an integer"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **{"weight_decay": 0.0} | change)


def test_a_corpus_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    corpus = toy_corpus()
    for data, message in (
        (corpus._replace(words=tuple("abc")), "train counts 6 words and the vocabulary has 3"),
        (
            corpus._replace(train=corpus.train.take(np.arange(7))),
            "train has 7 documents: expected at least 8",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            train(SETTINGS, data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
