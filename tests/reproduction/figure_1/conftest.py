"""Figure 1 of nets small enough to enumerate, for every module beside this one."""

from __future__ import annotations

import pytest

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction.notebook import Run
from tests.reproduction.figure_1 import toy_figure


@pytest.fixture(scope="module")
def data() -> MnistSplits:
    return toy_figure.data()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return toy_figure.run(tmp_path_factory.mktemp("results"))
