"""Contrastive divergence in the loop: one update by hand, and runs that are stopped, resumed, shared out, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nvil_repro.data.counts import Corpus, from_dense
from nvil_repro.data.minibatches import minibatch_indices
from nvil_repro.evaluation.annealed_importance import estimate
from nvil_repro.evaluation.replicated_softmax import Partition, exact_log_partition, log_prob
from nvil_repro.learning.contrastive_divergence import contrast
from nvil_repro.learning.replicated_softmax import gradient, reconstruct
from nvil_repro.models.replicated_softmax import ReplicatedSoftmax, documents
from nvil_repro.streams import uniforms
from nvil_repro.training import replicated_softmax as module
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.replicated_softmax import (
    ReplicatedSoftmaxMethod,
    ReplicatedSoftmaxSettings,
    train,
)
from nvil_repro.training.settings import SettingsError
from tests.training.promises import (
    Toy,
    check_companions,
    check_forgetting_is_noticed,
    check_resumes,
    check_threads,
    forget,
)

SETTINGS = ReplicatedSoftmaxSettings(
    hidden=3,
    updates=12,
    rate=0.05,
    weight_decay=0.1,
    steps=2,
    batch_size=8,
    eval_every=6,
    chains=4,
    rungs=6,
    chunk=3,
    checkpoint_seconds=0,
)


def toy_corpus(seed: int = 0) -> Corpus:
    """Documents about the first three words or the last three, never both."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 3, (40, 6))
    counts[::2, :3] = counts[1::2, 3:] = 0
    counts[::2, 5] += 1
    counts[1::2, 0] += 1
    return Corpus(
        from_dense(counts[:24]), from_dense(counts[24:32]), from_dense(counts[32:]), tuple("abcdef"), "toy"
    )


TOY = Toy(train, ReplicatedSoftmaxMethod, SETTINGS, toy_corpus())


def per_word(net: ReplicatedSoftmax, corpus: Corpus) -> float:
    """The exact log-likelihood per word of the training documents."""
    lengths = np.unique(corpus.train.lengths).tolist()
    log_z = estimate(exact_log_partition(net, lengths), torch.zeros(len(net.bias), len(lengths), 2))
    log_p = log_prob(net, corpus.train, Partition(torch.tensor(lengths), log_z)).value[0]
    return float((log_p / torch.from_numpy(corpus.train.lengths)).mean())


def test_an_update_is_two_phases_and_a_rate() -> None:
    """The seventh of twelve, with two steps of CD and half the rate."""
    settings = replace(SETTINGS, optimiser=Optimiser("sgd"), dtype="float64", seeds=(3,))
    corpus = toy_corpus()
    method = ReplicatedSoftmaxMethod(settings, corpus.train, corpus.valid)
    state, start = method.start(), method.start().net
    method.advance(state, 6, 1)
    cases = corpus.train.take(minibatch_indices(24, 8, 6, 1, 3)[0].numpy())
    x = documents(cases, torch.float64)
    hidden = uniforms(3, "cd/hidden", 6, (2, 8, 3), torch.float64)
    words = uniforms(3, "cd/words", 6, (2, int(x.lengths.sum())), torch.float64)
    once = reconstruct(start, x, hidden[:1], words[:1])
    twice = reconstruct(start, once, hidden[1:], words[1:])
    for end, expected in ((twice, True), (once, False)):  # control: a step too few
        slopes = contrast(gradient(start, x, 1 / x.lengths), gradient(start, end, 1 / x.lengths))
        shrunk = start._replace(weight=start.weight * (1 - 0.025 * 0.1))
        moved = [p + 0.025 * slope for p, slope in zip(shrunk, slopes, strict=True)]
        close = [torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(state.net, moved, strict=True)]
        assert all(close) == expected


def test_training_raises_the_exact_likelihood() -> None:
    result = train(replace(SETTINGS, updates=300, eval_every=300, seeds=(1,)), toy_corpus(), progress="off")
    start = ReplicatedSoftmaxMethod(SETTINGS, *toy_corpus()[:2]).start().net
    before, after = per_word(start, toy_corpus()), per_word(result.final, toy_corpus())
    assert before < -1.6
    assert after > -1.4  # nearly log 3 less what the documents' lengths hide
    rows = {row["split"]: row["value"] for row in result.history}
    assert abs(rows["train"] - after) < 0.3  # of one minibatch, by four chains
    assert {row["metric"] for row in result.history} == {"log_likelihood_per_word"}
    assert result.best.update.item() == 300


def test_steps_grow_along_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noted(x: Any, steps: int, *rest: Any) -> Any:
        seen.append(steps)
        return plain(x, steps, *rest)

    plain = module.contrastive_divergence
    monkeypatch.setattr(module, "contrastive_divergence", noted)
    train(replace(SETTINGS, steps=4), toy_corpus(), progress="off")
    assert seen == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3


def test_companions_and_threads_change_no_number() -> None:
    check_companions(TOY)
    check_threads(TOY)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_chunk_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, range(1, 5), after=after)


@pytest.mark.parametrize("moment", [0, 1])
def test_the_comparison_notices_a_run_that_forgets_a_moment(tmp_path: Path, moment: int) -> None:
    check_forgetting_is_noticed(TOY, tmp_path, 3, forget("moments", moment))


def test_a_diverged_model_is_recorded_and_its_companion_goes_on() -> None:
    wild = train(replace(SETTINGS, rate=1e30, optimiser=Optimiser("momentum")), toy_corpus(), progress="off")
    assert 0 in wild.diverged
    assert wild.history[-1]["note"].startswith("diverged at update")
    assert not train(SETTINGS, toy_corpus(), progress="off").diverged


def test_settings_name_the_run() -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"rate": 0.02}, {"steps": 5}, {"seeds": (1,)}, {"optimiser": Optimiser("sgd")}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden=0: expected an integer of at least 1"),
        ({"steps": 0}, "steps=0: expected an integer of at least 1"),
        ({"chains": 1}, "chains=1: expected an integer of at least 2"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1: expected a finite number of at least 0"),
        ({"eval_every": 4}, "eval_every=4: expected a multiple of chunk=3; choose 6"),
        ({"optimiser": "adam"}, "optimiser='adam': expected an Optimiser"),
        ({"optimiser": Optimiser("adam", centre=0.5)}, "expected an Optimiser without a centre"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_data_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    corpus = toy_corpus()
    for data, message in (
        (corpus._replace(words=tuple("abcde")), "train counts 6 words and the vocabulary has 5"),
        (
            corpus._replace(train=corpus.train.take(np.arange(7))),
            "train has 7 documents: expected at least 8",
        ),
        (
            corpus._replace(valid=from_dense(np.zeros((2, 6), np.int64))),
            "valid has no document, or an empty one",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            train(SETTINGS, data, tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()


def test_validation_has_all_rungs_and_what_watches_training_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, log_partition = [], module.log_partition

    def recorded(*given: Any, chains: int, rungs: int) -> Partition:
        asked.append((chains, rungs))
        return log_partition(*given, chains=chains, rungs=rungs)

    monkeypatch.setattr(module, "log_partition", recorded)
    settings = replace(SETTINGS, seeds=(0,), chains=7, rungs=40, updates=4, chunk=2, eval_every=2)
    train(settings, toy_corpus(), progress="off")
    assert asked == [(7, 40), (7, 4), (7, 40), (7, 4), (7, 40)]
