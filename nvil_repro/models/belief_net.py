"""Belief networks with mirrored inference networks, R replicas at a time.

Model: P(x, h^1..h^L) = P(h^L) prod_i P(h^i | h^{i+1}), every conditional a layer of Bernoulli units with linear logits.
Inference network: Q(h | x) = prod_i Q(h^i | h^{i-1}), each layer conditioned on the *sample* below it, h^0 = x.
The inputs of Q and of the first baseline are centred by the training mean.

Layers are factorial in a sigmoid belief network (SBN). An fDARN has an autoregressive prior, a DARN autoregressive
visibles too, and any of them may have an autoregressive inference network (Table 2): `Architecture`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nvil_repro import streams
from nvil_repro.models import bernoulli
from nvil_repro.models.linear import NONE, Baseline, Conditional, Linear


class Visible(Protocol):
    """The kind of the visible layer, given its logits [..., D]: the modules `bernoulli` and `multinomial` are two."""

    def log_prob(self, logits: Tensor, x: Tensor, /) -> Tensor:
        """log p(x) in nats: [...]."""

    def log_normaliser(self, logits: Tensor, x: Tensor, /) -> Tensor:
        """x times logits - log p(x): [...]."""

    def error(self, logits: Tensor, x: Tensor, /) -> Tensor:
        """d log p / d logits, x - E[x]: [..., D]."""


class BeliefNet(NamedTuple):
    """Parameters of R belief networks, their inference networks and their baselines; H_0 = D, layers visible-first."""

    centre: Tensor  # [D], the training mean, shared by all replicas and not trained
    prior: Tensor  # [R, H_L], logits of the deepest layer
    generative: tuple[Conditional, ...]  # [i]: h^{i+1} -> h^i, weight [R, H_{i+1}, H_i]
    recognition: tuple[Conditional, ...]  # [i]: h^i -> h^{i+1}, weight [R, H_i, H_{i+1}]
    baselines: tuple[Baseline, ...]  # [i] sees h^i
    prior_lateral: Tensor = NONE  # [R, H_L, H_L] of an autoregressive prior

    @property
    def replicas(self) -> int:
        return self.prior.shape[0]

    @property
    def top(self) -> Conditional:
        """P(h^L) as a conditional without inputs."""
        return Conditional(
            self.prior.new_zeros(self.replicas, 0, self.prior.shape[-1]), self.prior, self.prior_lateral
        )

    @property
    def architecture(self) -> Architecture:
        """Which of the layers are autoregressive."""
        p, q = self.generative[0], self.recognition[0]
        return Architecture(self.top.autoregressive, p.autoregressive, q.autoregressive)

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes of the hidden layers, h^1 first."""
        return tuple(linear.bias.shape[-1] for linear in self.recognition)


class Architecture(NamedTuple):
    """Which layers condition their units on one another; the model's name in the paper's tables is `name`."""

    prior: bool = False
    visible: bool = False
    inference: bool = False  # every layer of Q

    @property
    def name(self) -> str:
        return "DARN" if self.visible else "fDARN" if self.prior else "SBN"


SBN = Architecture()


def belief_net(
    visible: int,
    layers: Sequence[int],
    seeds: Sequence[int],
    *,
    train_mean: Tensor,
    architecture: Architecture = SBN,
    baseline_units: int = 100,
    scale: float = 0.01,
    dtype: torch.dtype = torch.float32,
) -> BeliefNet:
    """A fresh net of R = len(seeds) replicas; replicas with equal seeds start equal.

    The paper states no initialisation. Ours: weights normal with standard deviation `scale` in the model and
    1/sqrt(in) in the inference networks and baselines, biases zero but the visibles', which start at the log-odds of
    the smoothed training mean, and the baselines' outputs and all lateral weights zero.
    Errors: `ValueError` if a size is not positive or `train_mean` is not [visible] with entries in [0, 1].
    """
    sizes = (visible, *layers)
    if not layers or min(sizes) < 1 or not seeds:
        raise ValueError(
            f"need positive sizes and at least one seed, got visible={visible}, layers={layers}, seeds={seeds}"
        )
    if tuple(train_mean.shape) != (visible,) or not bool(((train_mean >= 0) & (train_mean <= 1)).all()):
        raise ValueError(
            f"train_mean must be [{visible}] with entries in [0, 1], got shape {tuple(train_mean.shape)}"
        )

    def linear(name: str, rows: int, columns: int, deviation: float) -> Linear:
        weight = torch.stack(
            [streams.normals(seed, f"init/{name}", 0, (rows, columns), dtype) for seed in seeds]
        )
        return Linear(weight * deviation, torch.zeros(len(seeds), columns, dtype=dtype))

    def lateral(units: int, given: bool) -> Tensor:
        return torch.zeros(len(seeds), units, units, dtype=dtype) if given else NONE

    generative, recognition, baselines = [], [], []
    for i, (below, above) in enumerate(pairwise(sizes)):
        down = linear(f"generative/{i}", above, below, scale)
        generative.append(Conditional(*down, lateral(below, architecture.visible and i == 0)))
        up = linear(f"recognition/{i}", below, above, 1 / math.sqrt(below))
        recognition.append(Conditional(*up, lateral(above, architecture.inference)))
        hidden = linear(f"baseline/{i}", below, baseline_units, 1 / math.sqrt(below))
        baselines.append(Baseline(hidden, linear(f"baseline/{i}/output", baseline_units, 1, 0.0)))
    smoothed = train_mean.to(torch.float64) * 0.98 + 0.01
    generative[0].bias.copy_(torch.logit(smoothed).to(dtype))
    prior = torch.zeros(len(seeds), layers[-1], dtype=dtype)
    top = lateral(layers[-1], architecture.prior)
    return BeliefNet(
        train_mean.to(dtype), prior, tuple(generative), tuple(recognition), tuple(baselines), top
    )


def inputs(net: BeliefNet, x: Tensor, h: Sequence[Tensor]) -> list[Tensor]:
    """What layer i of Q and its baseline see: x - centre, then the samples h^1..h^{L-1}, each [R or 1, B, H_i]."""
    return [x - net.centre, *h[: len(net.recognition) - 1]]


def q_logits(net: BeliefNet, x: Tensor, h: Sequence[Tensor]) -> list[Tensor]:
    """Logits of Q(h^i | h^{i-1}), i = 1..L, each [R, B, H_i]."""
    return [
        q.logits(below, bits) for q, below, bits in zip(net.recognition, inputs(net, x, h), h, strict=True)
    ]


def p_logits(net: BeliefNet, x: Tensor, h: Sequence[Tensor]) -> list[Tensor]:
    """Logits of P(h^i | h^{i+1}), i = 0..L, each [R, B, H_i]."""
    nothing = h[-1][..., :0]
    layers = zip((*net.generative, net.top), (*h, nothing), (x, *h), strict=True)
    return [p.logits(above, bits) for p, above, bits in layers]


def log_q_terms(net: BeliefNet, x: Tensor, h: Sequence[Tensor]) -> Tensor:
    """log Q(h^i | h^{i-1}) in nats: [L, R, B]."""
    return log_q_given(q_logits(net, x, h), h)


def log_q_given(logits: Sequence[Tensor], h: Sequence[Tensor]) -> Tensor:
    """`log_q_terms` from `q_logits`."""
    return torch.stack([bernoulli.log_prob(a, bits) for a, bits in zip(logits, h, strict=True)])


def log_p_terms(net: BeliefNet, x: Tensor, h: Sequence[Tensor], visible: Visible = bernoulli) -> Tensor:
    """log P(h^i | h^{i+1}) in nats, i = 0..L with h^0 = x and the prior last: [L+1, R, B]."""
    return log_p_given(p_logits(net, x, h), x, h, visible)


def log_p_given(logits: Sequence[Tensor], x: Tensor, h: Sequence[Tensor], visible: Visible) -> Tensor:
    """`log_p_terms` from `p_logits`."""
    lowest, *deeper = logits
    pairs = zip(deeper, h, strict=True)
    return torch.stack([visible.log_prob(lowest, x), *(bernoulli.log_prob(a, bits) for a, bits in pairs)])


def log_weight(net: BeliefNet, x: Tensor, h: Sequence[Tensor], visible: Visible = bernoulli) -> Tensor:
    """log P(x, h) - log Q(h | x), the single-sample bound (equation 2), in nats: [R, B]."""
    return log_p_terms(net, x, h, visible).sum(0) - log_q_terms(net, x, h).sum(0)


def sample_q(net: BeliefNet, x: Tensor, uniforms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """h^1..h^L ~ Q(. | x) from uniforms of shapes [R or 1, B, H_i]: each [R, B, H_i]."""
    return draw_q(net, x, uniforms)[0]


def draw_q(net: BeliefNet, x: Tensor, uniforms: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """`sample_q`, and the `q_logits` of what it drew, each [R, B, H_i], without a product more for factorial layers."""
    h: list[Tensor] = []
    logits = []
    below = x - net.centre
    for q, uniform in zip(net.recognition, uniforms, strict=True):
        a = q.feedforward(below)
        below = q.draw(a, uniform)[0]
        h.append(below)
        logits.append(q.with_lateral(a, below))
    return tuple(h), logits


def sample_p(net: BeliefNet, uniforms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """x, h^1..h^L ~ P by ancestral sampling from uniforms of shapes [R or 1, B, H_i], i = 0..L: each [R, B, H_i]."""
    above = net.top.sample(uniforms[-1][..., :0], uniforms[-1])
    samples = [above]
    for p, uniform in zip(reversed(net.generative), reversed(uniforms[:-1]), strict=True):
        above = p.sample(above, uniform)
        samples.insert(0, above)
    return tuple(samples)


def mean_images(net: BeliefNet, cases: int, seed: int) -> Tensor:
    """P(x_j = 1 | h^1, x_<j) at ancestral samples h ~ P: [R, cases, D]; smoother to look at than x itself."""
    sizes = (len(net.centre), *net.layers)
    samples = sample_p(
        net,
        [streams.uniforms(seed, f"draw/{i}", 0, (1, cases, n), net.prior.dtype) for i, n in enumerate(sizes)],
    )
    return torch.sigmoid(net.generative[0].logits(samples[1], samples[0]))


def parameters(net: BeliefNet) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every trained parameter, in a fixed order; names begin with their group.

    The groups are `model`, `inference` and `baseline`.
    """
    yield "model/prior", net.prior
    if net.prior_lateral.numel():
        yield "model/prior_lateral", net.prior_lateral
    for group, conditionals in (("model", net.generative), ("inference", net.recognition)):
        for i, conditional in enumerate(conditionals):
            yield f"{group}/{i}/weight", conditional.weight
            yield f"{group}/{i}/bias", conditional.bias
            if conditional.autoregressive:
                yield f"{group}/{i}/lateral", conditional.lateral
    for i, baseline in enumerate(net.baselines):
        for part, linear in zip(("hidden", "output"), baseline, strict=True):
            yield f"baseline/{i}/{part}/weight", linear.weight
            yield f"baseline/{i}/{part}/bias", linear.bias


def check_net(net: BeliefNet) -> None:
    """Errors: `ValueError` naming a parameter that does not fit the biases, the replicas or the dtype of the net, or if
    it has more layers of one kind than of another.
    """
    sizes, r = (len(net.centre), *net.layers), net.replicas
    counts = len(net.generative), len(net.recognition), len(net.baselines) or len(net.recognition)
    if len(set(counts)) > 1 or not counts[0]:
        raise ValueError(
            f"generative, recognition and baselines have {counts} layers: expected as many in each"
        )
    expected: dict[str, tuple[int, ...]] = {"model/prior": (r, sizes[-1])}
    expected["model/prior_lateral"] = (r, sizes[-1], sizes[-1])
    for i, (below, above) in enumerate(pairwise(sizes)):
        for group, inputs, units in (("model", above, below), ("inference", below, above)):
            expected[f"{group}/{i}/weight"] = (r, inputs, units)
            expected[f"{group}/{i}/bias"] = (r, units)
            expected[f"{group}/{i}/lateral"] = (r, units, units)
    for i, baseline in enumerate(net.baselines):
        hidden = baseline.hidden.bias.shape[-1]
        for part, inputs, units in (("hidden", sizes[i], hidden), ("output", hidden, 1)):
            expected[f"baseline/{i}/{part}/weight"] = (r, inputs, units)
            expected[f"baseline/{i}/{part}/bias"] = (r, units)
    for name, tensor in parameters(net):
        if tensor.shape != expected[name] or tensor.dtype != net.prior.dtype:
            wanted = f"{net.prior.dtype} {list(expected[name])}"
            raise ValueError(
                f"{name} is {tensor.dtype} {list(tensor.shape)}: expected {wanted} to fit the net"
            )


def with_parameters(net: BeliefNet, tensors: Iterable[Tensor]) -> BeliefNet:
    """The net with other tensors of the same shapes for its parameters, in the order of `parameters(net)`.

    Errors: `ValueError` if they are not as many.
    """
    tensors, expected = list(tensors), len(list(parameters(net)))
    if len(tensors) != expected:
        raise ValueError(f"{len(tensors)} tensors for a net of {expected} parameters")
    given = iter(tensors)

    def taken(part: tuple[Tensor, ...]) -> Iterator[Tensor]:
        return (next(given) if tensor.numel() else tensor for tensor in part)

    prior, prior_lateral = taken((net.prior, net.prior_lateral))
    generative, recognition = (
        tuple(Conditional(*taken(layer)) for layer in layers) for layers in (net.generative, net.recognition)
    )
    baselines = tuple(
        Baseline(*(Linear(*taken(linear)) for linear in baseline)) for baseline in net.baselines
    )
    return BeliefNet(net.centre, prior, generative, recognition, baselines, prior_lateral)
