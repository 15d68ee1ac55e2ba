"""Table 3 of a corpus of a dozen words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nvil_repro.data.counts import Counts, from_dense
from nvil_repro.reproduction.document_systems import PER_DOCUMENT
from nvil_repro.reproduction.notebook import Run, parameters
from nvil_repro.reproduction.results import Row

SYSTEMS = ["unigram", "SBN 3", "fDARN 2", "LDA 2", "Gibbs LDA 2", "Replicated softmax 3", "DocNADE 3"]
SIZES = {"evaluations": 2, "importance_samples": 50, "importance_documents": 20, "chains": 300, "rungs": 200}


def make_run(folder: Path, **changes: Any) -> Run:
    given = {"systems": SYSTEMS, "passes": [60], "other_passes": 30, **SIZES, **changes}
    return parameters({"profile": "smoke", **given, "results_dir": str(folder)}, "document_perplexity")


def documents(count: int, seed: int) -> Counts:
    """Of two topics that share no word."""
    generator = np.random.default_rng(seed)
    topics = np.kron(np.eye(2), generator.dirichlet(np.ones(6)))
    lengths = generator.integers(4, 15, count)
    return from_dense(np.stack([generator.multinomial(n, topics[i % 2]) for i, n in enumerate(lengths)]))


def found(
    rows: list[Row], model: str, kind: str, metric: str = PER_DOCUMENT, protocol: str | None = None
) -> Row:
    own = [r for r in rows if (r.model, r.variant, r.metric, r.split) == (model, kind, metric, "test")]
    (row,) = [r for r in own if protocol in (None, r.protocol)]
    return row
