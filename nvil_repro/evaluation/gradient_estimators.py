"""The gradients by which a small model of bits can learn, at given parameters and one budget, and their expectations.

Names are "exact"; "CD1", "CD10", .. and "naive1", .. with their Gibbs steps; "PCD", its chains at rest; and those of
`learning.criteria`. The cases of draw s are the same for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.evaluation.exact import enumerate_bits
from nvil_repro.evaluation.exact_partition import exact_gradient, exact_log_partition, state_probabilities
from nvil_repro.evaluation.state_distributions import (
    after_steps,
    expected_gradient,
    inverse_cdf,
    over_states,
    state_bits,
)
from nvil_repro.learning.criteria import CRITERIA, Amounts, criterion_gradient, draw, uniforms_of
from nvil_repro.learning.markov_chains import fresh, phases, sampler, walk
from nvil_repro.learning.noise_contrastive import Noise
from nvil_repro.models import bernoulli
from nvil_repro.models.rbm import RBM, bias_of
from nvil_repro.models.unnormalised import Family


@dataclass(frozen=True, eq=False)
class Task:
    """A model at theta, the distribution of its data, and the budget of a gradient.

    Errors: `ValueError` where the model's states cannot be enumerated, or for an unknown name.
    """

    family: Family
    theta: Any
    patterns: Tensor  # [P, D], bits
    probabilities: Tensor  # [P]
    batch: int = 100  # cases, and chains
    amounts: Amounts = field(default_factory=Amounts)
    sets: tuple[tuple[int, ...], ...] = ()  # of generalised pseudolikelihood
    seed: int = 0

    @property
    def exact(self) -> Any:
        """The gradient of the mean log-likelihood of the data."""
        return expected_gradient(self.family, self.theta, self.patterns, self.probabilities, self._model)

    def estimators(self, names: Iterable[str]) -> dict[str, Callable[[int], Any]]:
        """By name, the gradient at draw s, from that minibatch: what `gradient_quality` takes."""
        return {name: partial(self._estimate, name, *_parsed(name)) for name in names}

    def expected(self, names: Iterable[str]) -> dict[str, Any]:
        """By name, E of the gradient over draws, where it is a sum over states: that of all criteria, and of the chains
        of an RBM.
        """
        found = {name: self._expectation(name, *_parsed(name)) for name in names}
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    def _estimate(self, name: str, kind: str, steps: int, s: int) -> Any:
        u = self._uniforms("cases", s, (self.batch,))
        x = self._cases[inverse_cdf(self.probabilities.cumsum(0), u)][None]
        if kind == "exact":
            return exact_gradient(self.family, self.theta, x[0])
        if kind in CRITERIA:
            given = self._given(name, x, s)
            return criterion_gradient(name, self.family, self.theta, x, **given).theta
        count = sampler(self.family)[1](self.theta)
        u = self._uniforms("gibbs", s, (steps + 1, self.batch, count))
        begins = {
            "CD": lambda: x,
            "PCD": lambda: self._samples(s),
            "naive": lambda: fresh(self.family, self.theta, u[0]),
        }
        return phases(self.family, self.theta, x, walk(self.family, self.theta, begins[kind](), u[1:]))[0]

    def _given(self, name: str, x: Tensor, s: int) -> dict[str, Any]:
        u = self._uniforms("criterion", s, uniforms_of(name, self.amounts, *x.shape[1:]))
        drawn = draw(name, self.family, self.amounts, u, x, self._mean)
        chains = {"samples": self._samples(s)} if name == "self_contrastive" else {}
        return drawn | chains | self._constant(name)

    def _constant(self, name: str) -> dict[str, Any]:
        if name == "generalised_pseudolikelihood":
            return {"sets": self.sets}
        return {"log_z": self._log_z} if name == "noise_contrastive" else {}

    def _expectation(self, name: str, kind: str, steps: int) -> Any:
        if kind in ("exact", "PCD", "self_contrastive"):
            return self.exact
        if kind in CRITERIA:
            given, x = self._constant(name), self._cases[None]
            if kind == "noise_contrastive":
                given |= {"noise": self._every_noise(x), "ratio": float(self.amounts.noise)}
            share = self.probabilities[None].to(x)
            return criterion_gradient(name, self.family, self.theta, x, weights=share, **given).theta
        if self.family is not RBM:
            return None
        begin = over_states(self.patterns, self.probabilities)
        if kind == "naive":
            begin = torch.full_like(begin, 1 / begin.shape[-1])
        ends = after_steps(self.theta, begin, steps)
        return expected_gradient(self.family, self.theta, self.patterns, self.probabilities, ends)

    def _every_noise(self, x: Tensor) -> Noise:
        """All states, weighted by their probability as noise."""
        logits = bias_of(self._mean).to(x)
        states = enumerate_bits(x.shape[-1], dtype=x.dtype)[None]
        log_q = bernoulli.log_prob(logits, states)
        return Noise(states, log_q, bernoulli.log_prob(logits, x), log_q.exp())

    def _samples(self, s: int) -> Tensor:
        """Of the model, independent: [R, C, D]."""
        u = self._uniforms("model", s, (self.batch,))
        return state_bits(inverse_cdf(self._reached, u), self._cases.shape[-1]).to(self._cases)

    def _uniforms(self, name: str, s: int, shape: tuple[int, ...]) -> Tensor:
        return streams.uniforms(self.seed, f"gradient quality/{name}", s, shape, self._cases.dtype)

    @cached_property
    def _cases(self) -> Tensor:
        return self.patterns.to(self.theta[0])

    @cached_property
    def _mean(self) -> Tensor:
        return self.probabilities @ self.patterns.to(self.probabilities)

    @cached_property
    def _model(self) -> Tensor:
        return state_probabilities(self.family, self.theta)

    @cached_property
    def _reached(self) -> Tensor:
        return self._model.cumsum(-1)

    @cached_property
    def _log_z(self) -> Tensor:
        return exact_log_partition(self.family, self.theta)[:, None].to(self.theta[0])


def _parsed(name: str) -> tuple[str, int]:
    """Its kind, and the Gibbs steps of an estimator that takes some."""
    if name in CRITERIA or name == "exact":
        return name, 0
    if name == "PCD":
        return name, 1
    found = re.fullmatch(r"(CD|naive)([1-9]\d*)", name)
    if found is None:
        raise ValueError(f"{name!r}: expected exact, PCD, CD1, naive1 (or more steps), {', '.join(CRITERIA)}")
    return found[1], int(found[2])
