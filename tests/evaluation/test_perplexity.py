"""Both perplexities against their definitions, and their standard errors against what they estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nvil_repro.evaluation.perplexity import perplexity


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
