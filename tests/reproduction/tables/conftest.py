"""Table 1 of toy nets, trained once for every module beside this one."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.data.mnist import MnistSplits
from nvil_repro.reproduction.bound_tables import table_rows, train_table
from nvil_repro.reproduction.cells import Cell
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row
from tests.reproduction.tables.toy_tables import make_run


@pytest.fixture(scope="session")
def data() -> MnistSplits:
    generator = torch.Generator().manual_seed(1)
    bits = (torch.rand(140, 784, generator=generator) < torch.rand(784, generator=generator)).to(torch.uint8)
    return MnistSplits(bits[:60], bits[60:100], bits[100:], "toy")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def nets(run: Run, data: MnistSplits) -> dict[Cell, Measured]:
    torch.set_num_threads(1)
    return train_table(run, data)


@pytest.fixture(scope="session")
def rows(run: Run, nets: dict[Cell, Measured], data: MnistSplits) -> list[Row]:
    return list(table_rows(run, nets, data))
