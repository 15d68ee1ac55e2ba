"""The last step to every corpus: empty documents dropped and counted, validation documents held out of training."""

from __future__ import annotations

import numpy as np

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.data.vocabulary import Counted
from nvil_repro.streams import stream

VALIDATION_DOCUMENTS = 100


def hold_out(
    counted: Counted, dataset: str, *, seed: int = 0, validation: int = VALIDATION_DOCUMENTS
) -> Corpus:
    """The corpus `dataset`: of the training documents that are not empty, `validation` random ones that `seed` picks
    are held out; the rest and the test documents keep their order.

    The vocabulary was chosen before, from all training documents, so that it does not depend on the seed.
    Errors: `ValueError` if nothing is left to train, validate or test on.
    """
    train, test = _not_empty(counted.train), _not_empty(counted.test)
    for part, name in ((train, "training"), (test, "test")):
        if part.documents == 0:
            raise ValueError(f"{dataset}: no {name} document has a word of the vocabulary")
    if not 1 <= validation < train.documents:
        raise ValueError(
            f"{dataset}: validation={validation}, expected at least 1 and fewer than the "
            f"{train.documents:,} training documents that are not empty"
        )
    held_out = np.zeros(train.documents, bool)
    held_out[stream(seed, "validation documents").permutation(train.documents)[:validation]] = True
    return Corpus(
        train=train.where(~held_out),
        valid=train.where(held_out),
        test=test,
        words=counted.words,
        dataset=dataset,
        dropped=(counted.train.documents - train.documents, counted.test.documents - test.documents),
    )


def _not_empty(counts: Counts) -> Counts:
    return counts.where(np.diff(counts.starts) > 0)
