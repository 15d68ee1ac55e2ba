"""An update of a document net, beside a plain dense loop and Pyro's ProdLDA; how it grows with words and documents.

And a sweep of LDA's sampler, see `lda`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from benchmarks.floor import Map, products_alone
from benchmarks.lda import lda_rows
from benchmarks.many_documents import many_documents
from benchmarks.pyro_peer import pyro_version
from benchmarks.rows import Row, measured
from benchmarks.timing import Way, cores
from nvil_repro.data.content import DataUnavailableError
from nvil_repro.data.corpora import load_corpus
from nvil_repro.data.counts import Corpus
from nvil_repro.data.rcv1_synthetic import generated_corpus
from nvil_repro.streams import stream
from nvil_repro.training.document_nets import DocumentNets, DocumentSettings

VOCABULARIES = (2_000, 10_000, 50_000)
DOCUMENTS = (10_000, 100_000, 800_000)
MINIBATCHES = 20


@dataclass(frozen=True)
class DocumentWork:
    """One update of an SBN with 50 units by the full method."""

    corpus: Corpus
    hidden: int = 50
    batch: int = 20
    chunk: int = 20  # updates in one timed run of ours

    @property
    def words(self) -> int:
        return self.corpus.train.vocabulary

    @property
    def settings(self) -> DocumentSettings:
        shape: dict[str, Any] = {"layers": (self.hidden,), "batch_size": self.batch, "chunk": self.chunk}
        return DocumentSettings(updates=self.chunk, eval_every=self.chunk, **shape)

    def minibatches(self, number: int) -> Tensor:
        """[number, B, V] in float32, dense, cut beforehand: the peers are spared what ours is charged for."""
        train = self.corpus.train
        cases = stream(0, "benchmark").integers(0, train.documents, number * self.batch)
        return torch.from_numpy(train.take(cases).dense()).float().view(number, self.batch, self.words)


def newsgroups() -> Corpus:
    """20 Newsgroups, or documents of a topic model where it cannot be had; `dataset` says which."""
    try:
        return load_corpus("20news")
    except DataUnavailableError:
        return generated_corpus(11_000, words=2_000)


def generated(words: int, documents: int = 5_000) -> Corpus:
    """Documents of a topic model over so many words, of which no more than 10,000 occur."""
    corpus = generated_corpus(documents, words=min(words, 10_000))
    train, valid, test = (part._replace(vocabulary=words) for part in corpus[:3])
    absent = tuple(f"absent{n}" for n in range(len(corpus.words), words))
    return Corpus(train, valid, test, corpus.words + absent, corpus.dataset)


def document_rows(
    corpus: Corpus,
    seconds: float,
    vocabularies: Sequence[int] = VOCABULARIES,
    documents: Sequence[int] = DOCUMENTS,
) -> Iterator[Row]:
    """A row per peer on `corpus` and on generated documents of each vocabulary; of LDA's sampler on `corpus`; then a
    row per system and number of documents, see `many_documents`.
    """
    works = {f"SBN 50, {corpus.dataset}": DocumentWork(corpus)}
    for words in vocabularies:
        works[f"SBN 50, {words:,} words"] = DocumentWork(generated(words))
    for name, work in works.items():
        contenders = {"ours": ours(work), "floor": floor(work), "dense loop, torch": dense(work)}
        if pyro_version():
            contenders["Pyro ProdLDA"] = prod_lda(work)
        for row in measured(name, contenders, seconds / (len(works) + 1)):
            passes = 1000 * work.batch / row.ours_ms / work.corpus.train.documents
            yield row._replace(note=f"minibatch {work.batch}, {passes:.1f} passes a second")
    yield from lda_rows(corpus, seconds / (len(works) + 1))
    yield from many_documents(documents)


def ours(work: DocumentWork) -> list[Way]:
    """As training runs it: minibatches cut, uniforms drawn, on one thread."""
    method, chunks = DocumentNets(work.settings, work.corpus.train, work.corpus.valid), count()
    state = method.start()

    def run() -> None:
        method.advance(state, next(chunks) * work.chunk, work.chunk)

    return [Way(run, work.chunk)]


def floor(work: DocumentWork) -> list[Way]:
    """The products of the decoder, forward and weight gradient; the encoder's cost the words that occur."""
    return products_alone([[Map(work.hidden, work.words)]], work.batch)


def dense(work: DocumentWork) -> list[Way]:
    """NVIL as one would write it for this model: dense counts, gradients by autograd."""
    decoder, encoder = nn.Linear(work.hidden, work.words), nn.Linear(work.words, work.hidden)
    baseline = nn.Sequential(nn.Linear(work.words, 100), nn.Tanh(), nn.Linear(100, 1))
    s, train = work.settings, work.corpus.train
    net = DocumentNets(s, train, work.corpus.valid).start().net
    prior = nn.Parameter(net.prior[0].clone())
    for layer, ours in (
        (decoder, net.generative[0]),
        (encoder, net.recognition[0]),
        (baseline[0], net.baselines[0].hidden),
        (baseline[2], net.baselines[0].output),
    ):
        layer.weight.data, layer.bias.data = ours.weight[0].T.clone(), ours.bias[0].clone()
    groups = [
        ([*decoder.parameters(), prior], s.rate),
        ([*encoder.parameters()], s.inference_rate),
        ([*baseline.parameters()], s.baseline_rate),
    ]
    sgd = torch.optim.SGD([{"params": parameters, "lr": rate} for parameters, rate in groups])
    mean, variance = torch.zeros(1), torch.zeros(1)

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        centred = x - net.centre
        logits, values = encoder(centred), baseline(centred).squeeze(-1)
        h = torch.bernoulli(torch.sigmoid(logits.detach()))
        log_q = -cross_entropy(logits, h, reduction="none").sum(-1)
        log_prior = -cross_entropy(prior.expand_as(h), h, reduction="none").sum(-1)
        log_p = (x * torch.log_softmax(decoder(h), -1)).sum(-1) + log_prior
        with torch.no_grad():
            signal = log_p - log_q - values
            mean.lerp_(signal.mean(), 1 - s.alpha)
            variance.lerp_(signal.var(correction=0), 1 - s.alpha)
            signal = (signal - mean) / variance.sqrt().clamp(min=1)
        sgd.zero_grad()
        (-(log_p + signal * (log_q + values)).sum()).backward()
        sgd.step()
        return decoder.weight, encoder.bias

    return _in_turn(work, step)


def prod_lda(work: DocumentWork) -> list[Way]:
    """A topic model with a logistic normal for its topics (Srivastava & Sutton 2017), as Pyro's tutorial writes it."""
    import pyro
    from pyro.distributions import Multinomial, Normal
    from pyro.infer import SVI, TraceMeanField_ELBO
    from pyro.optim import Adam

    pyro.enable_validation(False)
    body = nn.Sequential(nn.Linear(work.words, 100), nn.Softplus(), nn.Linear(100, 100), nn.Softplus())
    heads = nn.ModuleList([nn.Linear(100, work.hidden), nn.Linear(100, work.hidden)])
    decoder = nn.Linear(work.hidden, work.words, bias=False)

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("documents", len(x)):
            zero = x.new_zeros(len(x), work.hidden)
            topics = pyro.sample("topics", Normal(zero, torch.ones_like(zero)).to_event(1))
            logits = decoder(torch.softmax(topics, -1))
            pyro.sample("words", Multinomial(int(x.sum(-1).max()), logits=logits), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("body", body)
        pyro.module("heads", heads)
        with pyro.plate("documents", len(x)):
            hidden = body(x)
            mean, scale = heads[0](hidden), (heads[1](hidden) / 2).exp()
            pyro.sample("topics", Normal(mean, scale).to_event(1))

    pyro.clear_param_store()
    return _in_turn(work, SVI(model, guide, Adam({"lr": 1e-3}), TraceMeanField_ELBO()).step)


def _in_turn(work: DocumentWork, step: Any) -> list[Way]:
    minibatches = cycle(work.minibatches(MINIBATCHES))
    return [Way(lambda: step(next(minibatches)), 1, threads) for threads in {1, cores()}]
