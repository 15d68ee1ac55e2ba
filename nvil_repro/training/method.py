"""What a method of learning and the loop have to say to each other."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor


class Splits(Protocol):
    """Training and validation cases, bits as uint8 [N, D], and the data set's label; `MnistSplits` is one."""

    @property
    def train(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...
    @property
    def dataset(self) -> str: ...


class Replica(NamedTuple):
    """One of the R models that train side by side."""

    variant: str
    seed: int


class Schedule(NamedTuple):
    """When the loop evaluates, saves and stops; counted in updates, `patience` in evaluations."""

    updates: int
    eval_every: int  # a multiple of `chunk`
    chunk: int  # updates in one call of `Method.advance`
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    checkpoint_seconds: float = 60.0


class HasNet(Protocol):
    """A state: a NamedTuple of (nested tuples of) tensors; the parameters are in `net`, replicas first."""

    @property
    def net(self) -> Any: ...


State = TypeVar("State", bound=HasNet)


class Estimate(NamedTuple):
    """An evaluation of R replicas; higher is better."""

    mean: Tensor  # [R]
    stderr: Tensor  # [R], of the sampling, not of the choice of cases
    cases: int


class Method(Protocol[State]):
    """What a method supplies. Its randomness is a function of the seeds and the update's number."""

    @property
    def replicas(self) -> tuple[Replica, ...]: ...

    @property
    def metric(self) -> str:
        """The name of what `evaluate` and `advance` return."""

    def start(self) -> State:
        """The state before the first update."""

    def advance(self, state: State, first_update: int, count: int) -> Tensor:
        """Run `count` updates in place; the objective on each minibatch, [count, R]."""

    def evaluate(self, state: State) -> Estimate:
        """The metric on the validation cases; with the same random numbers whenever it is asked."""
