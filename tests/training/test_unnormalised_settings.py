"""Settings of unnormalised models: what names a run, and what cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nvil_repro.learning.criteria import Amounts
from nvil_repro.training.optimisers import Optimiser
from nvil_repro.training.settings import SettingsError
from tests.training.test_unnormalised import SETTINGS


def test_settings_name_the_run() -> None:
    assert replace(SETTINGS, checkpoint_seconds=5.0).hash == SETTINGS.hash
    for change in (
        {"rate": 0.02},
        {"temperatures": 2},
        {"seeds": (1,)},
        {"centred": False},
        {"amounts": Amounts(noise=3)},
    ):
        assert replace(SETTINGS, **change).hash != SETTINGS.hash
    free = replace(SETTINGS, centred=False)
    assert replace(free, fixed=("weight",)).hash != free.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps=0: expected an integer of at least 1"),
        (
            {"criterion": "sml"},
            "criterion='sml': expected one of exact, naive, cd, pcd, fpcd, pseudolikelihood",
        ),
        ({"engine": "cuda"}, "engine='cuda': expected one of auto, kernel, torch"),
        (
            {"criterion": "cd", "temperatures": 2},
            "temperatures=2 with criterion='cd': only chains that persist",
        ),
        ({"family": "Boltzmann"}, "centred=True for family='Boltzmann': only the RBM is centred"),
        ({"fast_decay": 1.5}, "fast_decay=1.5: expected at most 1"),
        ({"fixed": ("weight",)}, r"fixed=\('weight',\) with centred=True: a centred step"),
        ({"block": 0}, "block=0: expected an integer of at least 1"),
        ({"block": 13}, "block=13: expected at most 12"),
        ({"amounts": (None, 10, 0.3)}, r"amounts=\(None, 10, 0.3\): expected Amounts"),
        ({"amounts": Amounts(units=0)}, "amounts.units=0: expected an integer of at least 1"),
        ({"amounts": Amounts(noise=0)}, "amounts.noise=0: expected an integer of at least 1"),
        ({"amounts": Amounts(noise=2.0)}, "amounts.noise=2.0: expected an integer"),  # type: ignore[arg-type]
        ({"amounts": Amounts(sd=0.0)}, "amounts.sd=0.0: expected a finite number above 0"),
        ({"amounts": Amounts(sd=float("nan"))}, "amounts.sd=nan: expected a finite number"),
        (
            {"engine": "kernel", "dtype": "float64"},
            "engine='kernel': expected a float32 RBM by cd, pcd, fpcd",
        ),
        ({"optimiser": Optimiser("adam", centre=0.5)}, "expected an Optimiser without a centre"),
        ({"eval_every": 4}, "eval_every=4: expected a multiple of chunk=3; choose 6"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SETTINGS, **change)
