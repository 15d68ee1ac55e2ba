"""A table that is shown says what its numbers say, in the digits that mean something."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas
import pytest

from nvil_repro.reproduction import document_views, table_views
from nvil_repro.reproduction.compare import NOT_RUN
from nvil_repro.reproduction.presentation import PLUS_MINUS, diverged, number, present
from nvil_repro.reproduction.published import read_published
from nvil_repro.reproduction.results import Row

MakeRow = Callable[..., Row]
TABLE = pandas.DataFrame(
    {
        "net": ["a", "b", "c"],
        "bound": [99.64, 113.57, math.nan],
        "error": [0.249, math.nan, math.nan],
        "less": [-0.03, 0.47, math.nan],
        "updates": pandas.array([988_350, 50, None], dtype="Int64"),
    }
)


def test_numbers_have_the_digits_of_their_column_and_their_error_beside_them() -> None:
    forms = {"less": "+z.1f", "bound": ".1f", "updates": ","}
    shown = present(TABLE, ["net"], forms, errors={"bound": "error"})
    assert list(shown.columns) == list(forms)
    assert shown.index.names == ["net"]
    assert shown.loc["a"].tolist() == ["+0.0", f"99.6{PLUS_MINUS}0.2", "988,350"]
    assert shown.loc["b"].tolist() == ["+0.5", "113.6", "50"]
    assert shown.loc["c"].tolist() == ["–", "–", "–"]
    assert present(TABLE, ["net"], forms).loc["a", "bound"] == "99.6"  # control: no error was asked for


def test_an_error_has_no_sign_of_its_own() -> None:
    shown = present(TABLE, ["net"], {"less": "+.2f"}, errors={"less": "error"})
    assert shown.loc["a", "less"] == f"-0.03{PLUS_MINUS}0.25"


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="weight"):
        present(TABLE, ["net"], {"weight": ".1f"})


@pytest.mark.parametrize(
    ("value", "form", "shown"), [(None, ".1f", "–"), ("bracket", "", "bracket"), ("", "", "–"), (3, "", "3")]
)
def test_what_is_no_float(value: object, form: str, shown: str) -> None:
    assert number(value, form) == shown


def test_seeds_that_diverged_are_counted_only_where_some_did() -> None:
    assert diverged(pandas.DataFrame({"diverged": [0, 0]})) == {}
    assert diverged(pandas.DataFrame({"diverged": [0, 1]})) == {"diverged": ""}


def test_a_net_that_diverged_is_counted_in_the_table(row: MakeRow) -> None:
    rows = [row(experiment="nvil_vs_wake_sleep", seed=s, value=v) for s, v in ((0, -112.0), (1, math.nan))]
    shown = table_views.presented(table_views.summary(rows, read_published()))
    assert (shown["seeds"].tolist(), shown["diverged"].tolist()) == (["1"], ["1"])
    fine = table_views.presented(table_views.summary(rows[:1], read_published()))
    assert "diverged" not in fine
    assert fine.index.tolist() == [("SBN 200", "NVIL", "quick")]


def test_a_corpus_that_was_not_run_says_so(row: MakeRow) -> None:
    one = row(
        experiment="document_perplexity", dataset="20news", model="unigram", dims="", method="", protocol="",
        variant="exact", metric=document_views.PER_DOCUMENT, value=1320.0, stderr=3.0,
    )  # fmt: skip
    shown = document_views.presented(document_views.summary([one], read_published()))
    assert shown.xs("20news")["ours"].tolist() == [f"1320{PLUS_MINUS}3"]
    waiting = shown.xs("rcv1")
    assert set(waiting["ours"]) == {NOT_RUN}
    assert set(waiting["seeds"]) == {"–"}
