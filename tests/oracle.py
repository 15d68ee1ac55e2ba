"""Independent arithmetic for small nets: probabilities spelled out unit by unit, expectations by enumeration.

Shares nothing with the package but the parameters' container, so that a mistake there is a difference here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet
from nvil_repro.models.linear import NONE, Baseline, Conditional, Linear

FULL = Architecture(prior=True, visible=True, inference=True)  # every kind of lateral weight


def random_net(
    layers: Sequence[int],
    visible: int = 4,
    replicas: int = 1,
    seed: int = 0,
    architecture: Architecture = SBN,
) -> BeliefNet:
    """Every parameter drawn, none of them zero or symmetric; float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def linear(rows: int, columns: int) -> Linear:
        return Linear(normal(replicas, rows, columns), normal(replicas, columns))

    def lateral(units: int, given: bool) -> Tensor:
        return normal(replicas, units, units).triu(1) if given else NONE

    sizes = (visible, *layers)
    pairs = list(itertools.pairwise(sizes))
    return BeliefNet(
        centre=torch.rand(visible, generator=generator, dtype=torch.float64),
        prior=normal(replicas, sizes[-1]),
        generative=tuple(
            Conditional(*linear(above, below), lateral(below, architecture.visible and i == 0))
            for i, (below, above) in enumerate(pairs)
        ),
        recognition=tuple(
            Conditional(*linear(below, above), lateral(above, architecture.inference))
            for below, above in pairs
        ),
        baselines=tuple(Baseline(linear(below, 3), linear(3, 1)) for below, _ in pairs),
        prior_lateral=lateral(sizes[-1], architecture.prior),
    )


def random_bits(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=generator).double()


def all_states(sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Every joint state of layers of these sizes: h^i [C, H_i]."""
    table = torch.tensor(list(itertools.product([0.0, 1.0], repeat=sum(sizes))), dtype=torch.float64)
    return table.split(list(sizes), -1)


def bernoulli(logits: Tensor, bits: Tensor) -> Tensor:
    """sum_j log P(bit_j), as log of a probability: [..., H] -> [...]."""
    one = 1 / (1 + torch.exp(-logits))
    return torch.log(torch.where(bits == 1, one, 1 - one)).sum(-1)


def conditional(logits: Tensor, lateral: Tensor, bits: Tensor, replica: int) -> Tensor:
    """log-probability of a layer whose unit j also hears of every unit k < j, one unit at a time: [C]."""
    total = torch.zeros(len(bits), dtype=torch.float64)
    for j in range(bits.shape[-1]):
        a = logits[:, j] if logits.ndim > 1 else logits[j].expand(len(bits))
        for k in range(j if lateral.numel() else 0):
            a = a + bits[:, k] * lateral[replica, k, j]
        total = total + bernoulli(a[:, None], bits[:, j, None])
    return total


def words(logits: Tensor, lateral: Tensor, counts: Tensor, replica: int) -> Tensor:
    """log-probability of a layer of words, one word of the vocabulary at a time: [C]."""
    weights = torch.exp(logits)
    total = torch.zeros(len(counts), dtype=torch.float64)
    for w in range(counts.shape[-1]):
        total = total + counts[:, w] * torch.log(weights[:, w] / weights.sum(-1))
    return total


Kind = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # of the visible layer: `conditional` or `words`


def log_p(
    net: BeliefNet, x: Tensor, h: Sequence[Tensor], replica: int = 0, visible: Kind = conditional
) -> Tensor:
    """log P(h^i | h^{i+1}), i = 0..L, of one replica: x [C, D], h^i [C, H_i] -> [L+1, C]."""
    layers, kinds = [x, *h], [visible] + [conditional] * len(h)
    terms = [
        kind(above @ f.weight[replica] + f.bias[replica], f.lateral, below, replica)
        for kind, f, below, above in zip(kinds, net.generative, layers, layers[1:], strict=False)
    ]
    return torch.stack([*terms, conditional(net.prior[replica], net.prior_lateral, h[-1], replica)])


def log_q(net: BeliefNet, x: Tensor, h: Sequence[Tensor], replica: int = 0) -> Tensor:
    """log Q(h^i | h^{i-1}), i = 1..L, of one replica: [L, C]."""
    below = [x - net.centre, *h]
    return torch.stack(
        [
            conditional(b @ f.weight[replica] + f.bias[replica], f.lateral, a, replica)
            for f, b, a in zip(net.recognition, below, h, strict=False)
        ]
    )


def log_likelihood(net: BeliefNet, x: Tensor, replica: int = 0, visible: Kind = conditional) -> Tensor:
    """log P(x) of every case: [N, D] -> [N]."""
    h = all_states(net.layers)
    joint = [log_p(net, v.expand(len(h[0]), -1), h, replica, visible).sum(0) for v in x]
    return torch.stack([each.exp().sum().log() for each in joint])


def bound(net: BeliefNet, x: Tensor, replica: int = 0, visible: Kind = conditional) -> Tensor:
    """E_Q[log P(x, h) - log Q(h | x)] of every case, differentiable: [N, D] -> [N]."""
    h, values = all_states(net.layers), []
    for v in x:
        v = v.expand(len(h[0]), -1)
        p, q = log_p(net, v, h, replica, visible).sum(0), log_q(net, v, h, replica).sum(0)
        values.append((q.exp() * (p - q)).sum())
    return torch.stack(values)


def inference_gradient(net: BeliefNet, x: Tensor, visible: Kind = conditional) -> list[Tensor]:
    """d sum_n L(x_n) / d (weight, bias and lateral of every layer of Q), replica 0, by autograd through enumeration."""
    layers = [free(f) for f in net.recognition]
    return _gradient(net._replace(recognition=tuple(layers)), x, trained(layers), visible)


def model_gradient(net: BeliefNet, x: Tensor, visible: Kind = conditional) -> list[Tensor]:
    """d sum_n L(x_n) / d (prior, its lateral, then weight, bias and lateral of every layer of P), of replica 0."""
    layers = [free(f) for f in net.generative]
    prior, lateral = (p.detach().clone().requires_grad_() for p in (net.prior, net.prior_lateral))
    leaves = net._replace(generative=tuple(layers), prior=prior, prior_lateral=lateral)
    return _gradient(leaves, x, [p for p in (prior, lateral) if p.numel()] + trained(layers), visible)


def trained(layers: Sequence[Conditional]) -> list[Tensor]:
    """Weight, bias and lateral weights of each layer, as far as there are any."""
    return [p for layer in layers for p in layer if p.numel()]


def free(layer: Conditional) -> Conditional:
    return Conditional(*(p.detach().clone().requires_grad_() for p in layer))


def _gradient(net: BeliefNet, x: Tensor, leaves: list[Tensor], visible: Kind) -> list[Tensor]:
    return [g[0] for g in torch.autograd.grad(bound(net, x, visible=visible).sum(), leaves)]


def expectation(
    net: BeliefNet, x: Tensor, estimator: Callable[[Tensor, tuple[Tensor, ...]], Sequence[Tensor]]
) -> list[Tensor]:
    """E of an estimator over the bits of *all* cases of the minibatch x [B, D] jointly, replica 0.

    `estimator(x, h)` takes h^i [J, B, H_i], one row per joint state, and returns tensors [J, ...].
    """
    states, cases = all_states(net.layers), len(x)
    index = torch.tensor(list(itertools.product(range(len(states[0])), repeat=cases)))
    h = tuple(layer[index] for layer in states)
    log_weight = torch.zeros(len(index), dtype=torch.float64)
    for b in range(cases):
        log_weight += log_q(net, x[b].expand(len(index), -1), [layer[:, b] for layer in h]).sum(0)
    weight = log_weight.exp()
    return [torch.tensordot(weight, value, dims=1) for value in estimator(x, h)]


def signals(net: BeliefNet, x: Tensor, h: Sequence[Tensor], replica: int = 0) -> Tensor:
    """Equation 12 by its letter, a double loop over layers and terms: [L, B]."""
    p, q, depth = log_p(net, x, h, replica), log_q(net, x, h, replica), len(h)
    rows = []
    for i in range(1, depth + 1):  # l^i = log P(h^{i-1..L}) - log Q(h^{i..L} | h^{i-1})
        row = torch.zeros(len(x), dtype=torch.float64)
        for j in range(i - 1, depth + 1):
            row = row + p[j]
        for j in range(i, depth + 1):
            row = row - q[j - 1]
        rows.append(row)
    return torch.stack(rows)
