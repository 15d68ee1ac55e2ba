"""Both perplexities against their definitions, and their standard errors against what they estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nvil_repro.evaluation.importance import difference_estimate
from nvil_repro.evaluation.perplexity import carried_perplexity, perplexity


def test_the_two_differ_as_they_are_defined() -> None:
    found = perplexity([-2 * math.log(8), -6 * math.log(2)], [2, 6])
    assert found.per_document == pytest.approx(4, rel=1e-14)  # of 8 and 2, the geometric mean
    assert found.corpus == pytest.approx(2 ** (12 / 8), rel=1e-14)
    assert found.documents == 2
    alike = perplexity([-2 * math.log(8), -6 * math.log(2)], [2, 2])  # of one length they are the same
    assert alike.per_document == pytest.approx(alike.corpus, rel=1e-14)


def test_a_uniform_model_has_the_vocabulary_for_perplexity_and_no_error() -> None:
    lengths = np.array([1, 7, 300])
    found = perplexity(-lengths * math.log(2000), lengths)
    assert found[:4] == pytest.approx((2000, 0, 2000, 0), abs=1e-9)


def test_the_standard_error_is_that_of_the_mean() -> None:
    """Of many documents of one length: exp of a mean of N, so its value times the deviation over sqrt(N)."""
    generator = np.random.default_rng(0)
    log_p = -10 * generator.normal(7, 0.5, 2000)
    found = perplexity(log_p, np.full(2000, 10), resamples=2000)
    expected = found.per_document * (log_p / 10).std() / math.sqrt(2000)
    assert found.per_document_stderr == pytest.approx(expected, rel=0.06)  # of 2000 resamples, within 4 sigma
    fewer = perplexity(log_p[:500], np.full(500, 10))  # control
    assert fewer.per_document_stderr > 1.7 * found.per_document_stderr


def test_the_bootstrap_is_the_seed_s() -> None:
    log_p, lengths = [-4.0, -9.0, -3.0], [1, 2, 3]
    assert perplexity(log_p, lengths) == perplexity(log_p, lengths)
    assert perplexity(log_p, lengths).corpus_stderr != perplexity(log_p, lengths, seed=1).corpus_stderr


def test_a_finer_measure_is_carried_over_as_a_mean_a_word() -> None:
    """By hand: of three documents the third is known finely, where a word gains 0.5 nats; control: without its gain."""
    rough, lengths = np.array([-6.0, -2.0, -8.0]), np.array([3, 1, 4])
    found = carried_perplexity(rough, lengths, [2], [-6.0])
    assert found.per_document == pytest.approx(math.exp(2 - 0.5), rel=1e-14)
    assert found.corpus == pytest.approx(math.exp(2 - 0.5), rel=1e-14)
    two = carried_perplexity(rough, lengths, [2, 0], [-6.0, -3.0])  # 0.5 and 1 a word
    assert two.per_document == pytest.approx(math.exp(2 - 0.75), rel=1e-14)
    assert two.corpus == pytest.approx(math.exp(2 - (2 + 3) / (4 + 3)), rel=1e-14)
    assert found.documents == two.documents == 3
    assert perplexity(rough, lengths).corpus == pytest.approx(math.exp(2), rel=1e-14)


def test_a_finer_measure_of_every_document_is_its_own_perplexity() -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 90, 200)
    rough, finer = (-lengths * generator.normal(mean, 0.3, 200) for mean in (7.0, 6.8))
    order = generator.permutation(200)
    carried = carried_perplexity(rough, lengths, order, finer[order], resamples=4000)
    own = perplexity(finer, lengths, resamples=4000)
    assert carried[::2] == pytest.approx(own[::2], rel=1e-12)
    assert carried[1::2] == pytest.approx(own[1::2], rel=0.06)  # other draws, within 4 sigma


def test_the_error_of_what_is_carried_over_is_the_difference_estimate_s() -> None:
    """Of documents of one length, so that a mean of N and one of M are all there is; control: fewer of them known."""
    generator = np.random.default_rng(0)
    lengths = np.full(1500, 10)
    rough = -10 * generator.normal(7, 0.3, 1500)
    finer = rough + np.abs(10 * generator.normal(0.2, 0.1, 1500)) - 0.1 * (rough + 70)
    errors = []
    for known in (300, 40):
        part = generator.permutation(1500)[:known]
        found = carried_perplexity(rough, lengths, part, finer[part], resamples=2000)
        value, stderr = difference_estimate(
            torch.from_numpy(rough / 10)[None],
            torch.from_numpy(part),
            torch.from_numpy(finer[part] / 10)[None],
        )
        assert found.per_document == pytest.approx(math.exp(-value.item()), rel=1e-12)
        assert found.per_document_stderr == pytest.approx(found.per_document * stderr.item(), rel=0.08)
        assert found.corpus == pytest.approx(found.per_document, rel=1e-12)
        errors.append(found.per_document_stderr)
    assert errors[1] > 1.5 * errors[0]


def test_a_part_that_cannot_be_is_refused() -> None:
    for part in ([], [1, 1], [2], [-1]):
        with pytest.raises(
            ValueError, match=f"a part of {len(part)} documents.*expected different ones of the 2"
        ):
            carried_perplexity([-4.0, -2.0], [2, 1], part, [-1.0] * len(part))
    with pytest.raises(ValueError, match="document 0 has nan nats"):
        carried_perplexity([-4.0, -2.0], [2, 1], [1], [math.nan])
    with pytest.raises(ValueError, match=r"log_p has shape \(2,\) and lengths \(1,\)"):
        carried_perplexity([-4.0, -2.0], [2, 1], [1], [-1.0, -1.0])


@pytest.mark.parametrize(
    ("log_p", "lengths", "message"),
    [
        ([-1.0, -1.0], [3, 0], "document 1 has 0 words: expected at least one"),
        ([-1.0, math.nan], [3, 1], "document 1 has nan nats of log p: expected a finite number"),
        ([-math.inf, -1.0], [3, 1], "document 0 has -inf nats"),
        ([-1.0, 0.5], [3, 1], r"document 1 has 0\.5 nats of log p: expected at most 0"),
        ([-1.0], [3, 1], r"log_p has shape \(1,\) and lengths \(2,\)"),
        ([], [], "expected one of each for every document"),
    ],
)
def test_what_cannot_be_is_refused(log_p: list[float], lengths: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        perplexity(log_p, lengths)


def test_one_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="resamples=1: expected at least 2"):
        perplexity([-1.0], [1], resamples=1)
