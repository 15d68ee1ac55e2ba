"""The last step to every corpus: empty documents dropped and counted, validation documents held out of training."""

from __future__ import annotations

import numpy as np

from nvil_repro.data.counts import Corpus
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
    train, test = (np.diff(part.starts) > 0 for part in (counted.train, counted.test))
    for filled, name in ((train, "training"), (test, "test")):
        if not filled.any():
            raise ValueError(f"{dataset}: no {name} document has a word of the vocabulary")
    documents = np.flatnonzero(train)
    if not 1 <= validation < len(documents):
        raise ValueError(
            f"{dataset}: validation={validation}, expected at least 1 and fewer than the "
            f"{len(documents):,} training documents that are not empty"
        )
    held_out = np.zeros(len(train), bool)
    chosen = stream(seed, "validation documents").permutation(len(documents))[:validation]
    held_out[documents[chosen]] = True
    return Corpus(
        train=counted.train.where(train & ~held_out),
        valid=counted.train.where(held_out),
        test=counted.test.where(test),
        words=counted.words,
        dataset=dataset,
        dropped=(int((~train).sum()), int((~test).sum())),
    )
