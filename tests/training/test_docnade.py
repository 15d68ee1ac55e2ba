"""DocNADE in the loop: it learns, and a run is stopped, resumed, shared out, refused like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.data.sequences import sequences
from nvil_repro.models.docnade import log_prob
from nvil_repro.streams import stream
from nvil_repro.training import docnade as module
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.docnade import DocNadeMethod, DocNadeSettings, train
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
    forget,
)

SETTINGS = DocNadeSettings(
    hidden=5, updates=12, rate=1e-2, batch_size=8, positions=2, eval_every=6, chunk=3, checkpoint_seconds=0
)


def toy_corpus(seed: int = 0) -> Corpus:
    """60 documents of 2 to 9 of 6 words, each of one of two topics of three words."""
    generator = np.random.default_rng(seed)
    topics = generator.integers(2, size=60)
    dense = np.stack(
        [
            np.bincount(generator.integers(3, size=generator.integers(2, 10)) + 3 * topic, minlength=6)
            for topic in topics
        ]
    )
    parts = [from_dense(part) for part in np.split(dense, [40, 50])]
    return Corpus(*parts, tuple("abcdef"), "toy")


TOY = Toy(train, DocNadeMethod, SETTINGS, toy_corpus())


def test_training_learns_which_words_go_together() -> None:
    """Within a topic words are uniform: a model knows it after one word, log p per word then being -log 3."""
    data = toy_corpus()
    result = train(replace(SETTINGS, updates=1500, rate=0.02, eval_every=300), data, progress="off")
    values = [row["value"] for row in result.history if row["split"] == "valid"]
    assert values[0] < -1.7  # about log 6
    assert values[-1] > -1.35
    train_values = [row["value"] for row in result.history if row["split"] == "train"]
    assert train_values[-1] > -1.35
    assert {row["metric"] for row in result.history} == {"log_likelihood_per_word"}


def test_orders_are_drawn_anew_and_rates_fall_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def noted(*name: Any) -> np.random.Generator:
        asked.append(name)
        return stream(*name)

    monkeypatch.setattr(module, "stream", noted)
    monkeypatch.setattr(module, "direction", lambda slope, *_: torch.ones_like(slope))
    settings = replace(SETTINGS, weight_decay=0.0)
    method = DocNadeMethod(settings, toy_corpus().train, toy_corpus().valid)
    state, before = method.start(), method.start()
    asked.clear()
    for first in range(0, 12, 3):
        method.advance(state, first, 3)
    assert [name for name in asked if name[1] == "docnade"] == [
        (0, "docnade", update) for update in range(12)
    ]
    moved = sum(settings.rate * (1 - update / 12) for update in range(12))
    for now, then in zip(state.net, before.net, strict=True):
        torch.testing.assert_close(now, then + moved, rtol=0, atol=1e-5)


def test_validation_is_the_mean_over_documents_and_orders() -> None:
    method = DocNadeMethod(SETTINGS, toy_corpus().train, toy_corpus().valid)
    state = method.start()
    for part in state.net:
        part.normal_(generator=torch.Generator().manual_seed(0))
    found = method.evaluate(state)
    read = [log_prob(state.net, documents)[0] for documents in method._validation]
    lengths = torch.from_numpy(sequences(toy_corpus().valid).lengths)
    assert found.mean.item() == pytest.approx((torch.stack(read) / lengths).mean().item(), abs=1e-14)
    assert not torch.equal(read[0], read[1])  # two orders
    assert found.stderr.item() > 0
    assert found.cases == 10


def test_companions_and_threads_change_no_number() -> None:
    check_companions(TOY)
    check_threads(TOY)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, range(1, 5), after=after)


@pytest.mark.parametrize("moment", [0, 1])
def test_the_comparison_notices_a_run_that_forgets_a_moment(tmp_path: Path, moment: int) -> None:
    check_forgetting_is_noticed(TOY, tmp_path, 4, forget("moments", moment))


def test_weight_decay_shrinks_weights_and_no_bias() -> None:
    """By rate x weight_decay in the first update, with a gradient that is the same."""
    data, once = toy_corpus(), replace(SETTINGS, updates=1, chunk=1, eval_every=1, rate=0.1)
    start = DocNadeMethod(once, data.train, data.valid).start().net
    plain = train(once, data, progress="off").final
    decayed = train(replace(once, weight_decay=2.0), data, progress="off").final
    for name, old, a, b in zip(start._fields, start, plain, decayed, strict=True):
        shrunk = 0.2 * old if name in ("weight", "output") else torch.zeros_like(old)
        torch.testing.assert_close(a - b, shrunk, rtol=0, atol=1e-6)


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"rate": 0.02}, {"positions": None}, {"seeds": (1,)}, {"optimiser": Optimiser("sgd")}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"positions: 2 -> 3"):
        train(replace(SETTINGS, positions=3), toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"data\.sha256"):
        train(SETTINGS, toy_corpus(1), tmp_path, progress="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden=0: expected an integer of at least 1"),
        ({"positions": 0}, "positions=0: expected an integer of at least 1"),
        ({"orders": 1}, "orders=1: expected an integer of at least 2"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: expected a finite number of at least 0"),
        ({"optimiser": "adam"}, "optimiser='adam': expected an Optimiser"),
        ({"optimiser": Optimiser("adam", centre=0.5)}, r"centre=0\.5: DocNADE's hidden units are no bits"),
        ({"eval_every": 7}, "eval_every=7: expected a multiple of chunk=3; choose 9"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_data_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    data = toy_corpus()
    empty = data._replace(valid=from_dense(np.array([[1, 0, 0, 0, 0, 0], [0] * 6])))
    for bad, message in (
        (data._replace(words=tuple("abcde")), "train counts 6 words and the vocabulary has 5"),
        (empty, "valid has no document, or an empty one"),
        (data._replace(train=data.train.take(np.arange(7))), "train has 7 documents: expected at least 8"),
    ):
        with pytest.raises(ValueError, match=message):
            train(SETTINGS, bad, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
