"""A sweep of collapsed Gibbs sampling for LDA, beside tomotopy's where that is installed (`pip install tomotopy`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import count

from benchmarks.rows import Row
from benchmarks.timing import Way, milliseconds
from nvil_repro.data.counts import Corpus
from nvil_repro.data.sequences import sequences
from nvil_repro.training.lda_gibbs import GibbsLdaMethod, GibbsLdaSettings

TOPICS = (50, 200)
SWEEPS = 10  # before the timing: the first ones are of topics that no order has come into


def lda_rows(corpus: Corpus, seconds: float, topics: Sequence[int] = TOPICS) -> Iterator[Row]:
    """A row a number of topics, all on one thread."""
    words = int(corpus.train.lengths.sum())
    for number in topics:
        settings = GibbsLdaSettings(topics=number)
        contenders = {"ours": ours(corpus, settings)}
        if find_spec("tomotopy"):
            contenders["tomotopy"] = tomotopy(corpus, settings)
        found = milliseconds(contenders, seconds / len(topics))
        name, note = f"LDA {number} by Gibbs, {corpus.dataset}", f"a sweep over {words:,} words"
        peer = "tomotopy" if "tomotopy" in found else ""
        yield Row(name, found["ours"], peer, found.get("tomotopy", math.nan), note=note)


def ours(corpus: Corpus, settings: GibbsLdaSettings) -> list[Way]:
    """Sweeps alone, without the estimates between them."""
    method, sweeps = GibbsLdaMethod(settings, corpus.train, corpus.valid), count()
    state = method.start()

    def run() -> None:
        method.resample(state, 0, next(sweeps))

    for _ in range(SWEEPS):
        run()
    return [Way(run, 1)]


def tomotopy(corpus: Corpus, settings: GibbsLdaSettings) -> list[Way]:
    """The same with its priors held, on one worker."""
    import tomotopy as library

    model = library.LDAModel(k=settings.topics, alpha=settings.alpha, eta=settings.eta, seed=0)
    model.optim_interval = 0
    documents = sequences(corpus.train)
    for begin, end in zip(documents.starts[:-1], documents.starts[1:], strict=True):
        model.add_doc([str(word) for word in documents.words[begin:end]])
    model.train(SWEEPS, workers=1)
    return [Way(lambda: model.train(1, workers=1), 1)]
