"""Table 3 of a corpus of a dozen words, trained once for every module beside this one."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.data.counts import Corpus
from nvil_repro.reproduction.cells import DocumentCell as Cell
from nvil_repro.reproduction.document_table import table_rows, train_table
from nvil_repro.reproduction.measurements import Measured
from nvil_repro.reproduction.notebook import Run
from nvil_repro.reproduction.results import Row
from tests.reproduction.documents.toy_documents import documents, make_run


@pytest.fixture(scope="session")
def corpora() -> dict[str, Corpus]:
    words = tuple("abcdefghijkl")
    return {"20news": Corpus(documents(300, 0), documents(40, 1), documents(60, 2), words, "toy")}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def systems(run: Run, corpora: dict[str, Corpus]) -> dict[Cell, Measured]:
    torch.set_num_threads(1)
    return train_table(run, corpora)


@pytest.fixture(scope="session")
def rows(run: Run, systems: dict[Cell, Measured], corpora: dict[str, Corpus]) -> list[Row]:
    return list(table_rows(run, systems, corpora))
