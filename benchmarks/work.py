"""The work that every contender does: what is trained, on which bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.content import DataUnavailableError
from nvil_repro.data.mnist import load_mnist
from nvil_repro.learning.nvil import VARIANTS, Ingredients
from nvil_repro.models.belief_net import SBN, Architecture, BeliefNet, belief_net
from nvil_repro.streams import stream
from nvil_repro.training.settings import TrainSettings

ON = 0.13  # the share of ones in binarised MNIST


class Bits(NamedTuple):
    """What training needs of a data set, see `nvil_repro.training.belief_nets.Splits`."""

    train: Tensor  # uint8 [N, D]
    valid: Tensor
    dataset: str


@dataclass(frozen=True)
class Work:
    """One update of every replica, `variants` x `seeds`, at the paper's rates; wake-sleep's one variant is ""."""

    data: Bits
    layers: tuple[int, ...] = (200, 200)  # h^1 first
    variants: tuple[str, ...] = tuple(VARIANTS)
    seeds: tuple[int, ...] = (0,)
    batch: int = 20
    chunk: int = 50  # updates in one timed run of ours
    architecture: Architecture = SBN
    method: str = "nvil"

    @property
    def settings(self) -> TrainSettings:
        settings = TrainSettings(
            layers=self.layers,
            updates=self.chunk,
            architecture=self.architecture,
            method=self.method,
            variants=self.variants,
            seeds=self.seeds,
            batch_size=self.batch,
            eval_every=self.chunk,
            chunk=self.chunk,
        )
        return settings if self.method == "nvil" else replace(settings, rate=1e-4, inference_rate=1e-4)

    @property
    def replicas(self) -> int:
        return len(self.variants) * len(self.seeds)

    @property
    def ingredients(self) -> list[Ingredients]:
        """The switches of each replica, in its order."""
        return [VARIANTS[variant or "none"] for _ in self.seeds for variant in self.variants]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the layers, x first."""
        return (self.data.train.shape[1], *self.layers)

    @property
    def autoregressive(self) -> tuple[int, ...]:
        """Sizes of the autoregressive layers: the visibles', the prior's, those of Q."""
        a, (visible, *hidden) = self.architecture, self.sizes
        return (visible,) * a.visible + (hidden[-1],) * a.prior + tuple(hidden) * a.inference

    def net(self) -> BeliefNet:
        """Fresh nets, all replicas, as training starts them."""
        mean = self.data.train.float().mean(0)
        seeds = [r.seed for r in self.settings.replicas]
        return belief_net(len(mean), self.layers, seeds, train_mean=mean, architecture=self.architecture)

    def minibatches(self, count: int) -> Tensor:
        """[count, B, D] in float32, cut beforehand: the peers are spared what ours is charged for."""
        cases = stream(0, "benchmark").integers(0, len(self.data.train), (count, self.batch))
        return self.data.train[torch.from_numpy(cases)].float()


def mnist_bits() -> Bits:
    """Binarised MNIST, or bits of its density where it cannot be had; the label says which."""
    try:
        splits = load_mnist()
    except DataUnavailableError:
        return generated_bits()
    return Bits(splits.train, splits.valid, splits.dataset)


def generated_bits(cases: int = 60_000, visible: int = 784) -> Bits:
    """Independent bits, each visible with its own mean, `ON` on average."""
    random = stream(0, "benchmark/bits")
    means = random.beta(0.3, 0.3 * (1 - ON) / ON, visible)
    bits = torch.from_numpy((random.random((cases, visible), np.float32) < means).astype(np.uint8))
    held_out = max(1, min(100, cases // 10))
    return Bits(bits[held_out:], bits[:held_out], "generated")
