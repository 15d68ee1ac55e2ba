"""Splices turn one text into another, and are few where texts are alike."""

from __future__ import annotations

import pytest

from nvil_repro.data.splices import Splice, spliced, splices_between

OLD = "head\na b c d\nsame line\nlast words \n"
NEW = "a b x y d\nsame line\nnew line\nlast words\n"


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (NEW, OLD), ("", NEW), (OLD, ""), (OLD, OLD)])
def test_the_difference_applied_to_the_old_gives_the_new(old: str, new: str) -> None:
    assert spliced(old, splices_between(old, new)) == new


def test_only_what_differs_is_said() -> None:
    assert splices_between("one line\ntwo words here\n", "one line\ntwo new words\n") == [
        Splice(13, 0, "new "),
        Splice(18, 5, ""),
    ]
    assert splices_between(OLD, OLD) == []


def test_every_splice_counts() -> None:
    splices = splices_between(OLD, NEW)
    assert all(spliced(OLD, splices[:i] + splices[i + 1 :]) != NEW for i in range(len(splices)))
