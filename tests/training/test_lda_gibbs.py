"""LDA's sampler in the loop: it finds topics, and is stopped, resumed, shared out, refused like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from nvil_repro.data.counts import from_dense
from nvil_repro.data.sequences import sequences
from nvil_repro.evaluation.left_to_right import LeftToRight, log_prob
from nvil_repro.learning.lda_gibbs import word_topics
from nvil_repro.models.lda import topics
from nvil_repro.streams import stream
from nvil_repro.training import lda_gibbs as module
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.lda_gibbs import GibbsLdaMethod, GibbsLdaSettings, train
from nvil_repro.training.settings import SettingsError
from tests.training.promises import Toy, check_companions, check_resumes
from tests.training.test_docnade import toy_corpus
from tests.training.toys import same

SETTINGS = GibbsLdaSettings(topics=2, updates=6, eval_every=2, particles=3, checkpoint_seconds=0)
TOY = Toy(train, GibbsLdaMethod, SETTINGS, toy_corpus())


def test_sampling_finds_the_two_topics() -> None:
    result = train(replace(SETTINGS, updates=60, eval_every=20, particles=50), toy_corpus(), progress="off")
    values = [row["value"] for row in result.history if row["split"] == "valid"]
    assert values[-1] > values[0] + 0.2
    found = topics(result.final)[0].numpy().round(2)
    halves = sorted(float(each) for each in found[:, :3].sum(-1))
    assert halves[0] < 0.1
    assert halves[1] > 0.9
    assert {row["metric"] for row in result.history} == {"log_likelihood_per_word"}


def test_the_model_is_that_of_its_topics() -> None:
    """eta more than the counts of the assignments, at the start and later, of every replica."""
    corpus = toy_corpus()
    method = GibbsLdaMethod(replace(SETTINGS, seeds=(0, 1)), corpus.train, corpus.valid)
    state, documents = method.start(), sequences(corpus.train)
    before = state.assignments.clone()
    for first in (0, 1, 3):
        for r in range(2):
            counts = word_topics(2, 6, documents, state.assignments[r].numpy())
            assert torch.equal(state.net.dirichlet[r], torch.from_numpy(counts.T) + SETTINGS.eta)
        method.advance(state, first, 2)
    assert (state.assignments != before).any(-1).all()  # control
    assert state.net.alpha.tolist() == [[2.5, 2.5]] * 2


def test_validation_is_the_left_to_right_estimate() -> None:
    method = GibbsLdaMethod(SETTINGS, toy_corpus().train, toy_corpus().valid)
    state = method.start()
    found, expected = method.evaluate(state), log_prob(state.net, toy_corpus().valid, LeftToRight(3, runs=2))
    lengths = toy_corpus().valid.lengths
    assert found.mean.item() == pytest.approx((expected.log_p / lengths).mean(), abs=1e-14)
    assert found.stderr.item() == pytest.approx(np.linalg.norm(expected.stderr / lengths) / 10, abs=1e-14)
    method.advance(state, 0, 1)
    assert method.evaluate(state).mean != found.mean  # control


def test_sweeps_at_once_are_sweeps_one_by_one() -> None:
    corpus = toy_corpus()
    method = GibbsLdaMethod(SETTINGS, corpus.train, corpus.valid)
    one, other = method.start(), method.start()
    objective = [method.advance(one, update, 1) for update in range(3)]
    last = method.advance(other, 0, 3)
    assert torch.equal(one.assignments, other.assignments)
    assert torch.equal(one.net.dirichlet, other.net.dirichlet)
    assert last.tolist() == [objective[-1].flatten().tolist()] * 3
    assert not torch.equal(objective[0], objective[-1])  # control


def test_companions_change_no_number() -> None:
    check_companions(TOY)


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_update_and_resumed(tmp_path: Path, after: bool) -> None:
    check_resumes(TOY, tmp_path, (1, 3, 6), after=after)


def test_the_comparison_notices_a_run_that_forgets_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = TOY.run()
    TOY.stop(tmp_path, 4)
    monkeypatch.setattr(module, "stream", lambda seed, name, update: stream(seed, name, 0))
    assert not same(TOY.run(tmp_path), straight)


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"concentration": 0.2}, {"topics": 3}, {"seeds": (1,)}, {"particles": 4}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"eta: .* -> 0\.7"):
        train(replace(SETTINGS, eta=0.7), toy_corpus(), tmp_path, progress="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topics": 0}, "topics=0: expected an integer of at least 1"),
        ({"concentration": 0.0}, r"concentration=0\.0: expected a finite number of at least 1e-06"),
        ({"eta": 0.0}, r"eta=0\.0: expected a finite number of at least 1e-06"),
        ({"seeds": (0, 0)}, r"seeds=\(0, 0\): expected different integers"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_what_is_missing_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = toy_corpus()._replace(train=from_dense(np.eye(3, 6, dtype=int) * [0, 1, 1, 1, 1, 1]))
    with pytest.raises(ValueError, match="train has no document, or an empty one"):
        train(SETTINGS, empty, tmp_path / "run", progress="off")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install numba$"):
        train(SETTINGS, toy_corpus(), tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
