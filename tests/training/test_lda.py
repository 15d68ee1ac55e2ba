"""LDA in the loop: its update is scikit-learn's, and a run is stopped, resumed, shared out, refused like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("numba")
pytest.importorskip("sklearn")

from nvil_repro.evaluation.left_to_right import LeftToRight, log_prob
from nvil_repro.models.lda import topics
from nvil_repro.training import lda as module
from nvil_repro.training.checkpoints import SettingsChangedError
from nvil_repro.training.lda import LdaMethod, LdaSettings, train
from nvil_repro.training.settings import SettingsError
from tests.training.promises import Toy, check_companions, check_resumes
from tests.training.test_docnade import toy_corpus
from tests.training.toys import same

SETTINGS = LdaSettings(
    topics=2, updates=6, batch_size=10, eval_every=2, particles=3, inference_steps=20, checkpoint_seconds=0
)
TOY = Toy(train, LdaMethod, SETTINGS, toy_corpus())


def test_more_topics_share_the_same_concentration() -> None:
    assert replace(SETTINGS, topics=50).alpha == 0.1
    assert replace(SETTINGS, topics=200).alpha == 0.025


def test_training_finds_the_two_topics() -> None:
    result = train(replace(SETTINGS, updates=60, eval_every=20, particles=50), toy_corpus(), progress="off")
    values = [row["value"] for row in result.history if row["split"] == "valid"]
    assert values[-1] > values[0] + 0.2
    found = topics(result.final)[0].numpy().round(2)
    halves = sorted(float(each) for each in found[:, :3].sum(-1))
    assert halves[0] < 0.1
    assert halves[1] > 0.9
    assert {row["metric"] for row in result.history} == {"log_likelihood_per_word"}


def test_validation_is_the_left_to_right_estimate() -> None:
    method = LdaMethod(SETTINGS, toy_corpus().train, toy_corpus().valid)
    state = method.start()
    found, expected = method.evaluate(state), log_prob(state.net, toy_corpus().valid, LeftToRight(3, runs=2))
    lengths = toy_corpus().valid.lengths
    assert found.mean.item() == pytest.approx((expected.log_p / lengths).mean(), abs=1e-14)
    assert found.stderr.item() == pytest.approx(np.linalg.norm(expected.stderr / lengths) / 10, abs=1e-14)


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
    plain = module.online_update

    def forgetful(*arguments: Any, update: int, **rest: Any) -> NDArray[np.float64]:
        return plain(*arguments, update=0, **rest)

    monkeypatch.setattr(module, "online_update", forgetful)
    assert not same(TOY.run(tmp_path), straight)


def test_settings_name_the_run(tmp_path: Path) -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in ({"concentration": 0.2}, {"topics": 3}, {"seeds": (1,)}, {"particles": 4}):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    train(SETTINGS, toy_corpus(), tmp_path, progress="off")
    with pytest.raises(SettingsChangedError, match=r"eta: 0\.3 -> 0\.2"):
        train(replace(SETTINGS, eta=0.2), toy_corpus(), tmp_path, progress="off")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"topics": 0}, "topics=0: expected an integer of at least 1"),
        ({"concentration": 0.0}, r"concentration=0\.0: expected a finite number of at least 1e-06"),
        ({"learning_offset": 0.5}, r"learning_offset=0\.5: expected a finite number of at least 1"),
        ({"learning_decay": 1.5}, r"learning_decay=1\.5: expected at most 1"),
        ({"seeds": (0, 0)}, r"seeds=\(0, 0\): expected different integers"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)


def test_what_is_missing_is_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = toy_corpus()._replace(train=toy_corpus().train.take(np.arange(9)))
    with pytest.raises(ValueError, match="train has 9 documents: expected at least 10"):
        train(SETTINGS, few, tmp_path / "run", progress="off")
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "sklearn" else name)
    with pytest.raises(ImportError, match=r"pip install scikit-learn$"):
        train(SETTINGS, toy_corpus(), tmp_path / "run", progress="off")
    assert not (tmp_path / "run").exists()
