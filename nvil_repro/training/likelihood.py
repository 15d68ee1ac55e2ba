"""Models on bits or on documents in the loop: what those with settings of their own have in common."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from nvil_repro.data.counts import Corpus, Counts
from nvil_repro.files import settings_hash
from nvil_repro.models.arrays import bits
from nvil_repro.training import loop
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.method import Estimate, Method, Replica, Schedule, Splits, State
from nvil_repro.training.settings import DTYPES, SettingsError
from nvil_repro.trees import view

Net = TypeVar("Net")
METRIC = "log_likelihood"  # mean over cases, in nats
PER_WORD = "log_likelihood_per_word"  # of documents: mean over them of log p / length, in nats


class Settings(Protocol):
    """A frozen dataclass that names a run."""

    @property
    def schedule(self) -> Schedule: ...
    def to_dict(self) -> dict[str, Any]: ...


def check_settings(settings: Any, least: Mapping[str, float]) -> None:
    """Refuse what cannot be: `seeds`, `dtype` and `patience` where it has them, and every name of `least` below its
    least value.

    Where that is an integer the setting must be one; the schedule evaluates between chunks.
    Errors: `SettingsError`.
    """
    limits = dict(least) | {"updates": 1, "eval_every": 1, "checkpoint_seconds": 0.0}
    if getattr(settings, "patience", None) is not None:
        limits["patience"] = 1
    for name, limit in limits.items():
        value, kind = getattr(settings, name), int if isinstance(limit, int) else (int, float)
        number = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < limit:
            what = "an integer" if kind is int else "a finite number"
            raise SettingsError(f"{name}={value!r}: expected {what} of at least {limit}")
    seeds = settings.seeds
    whole = isinstance(seeds, tuple) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(f"seeds={seeds!r}: expected different integers of at least 0; for example (0, 1)")
    if getattr(settings, "dtype", "float32") not in DTYPES:
        raise SettingsError(f"dtype={settings.dtype!r}: expected one of {', '.join(DTYPES)}")
    chunk = settings.schedule.chunk
    if settings.eval_every % chunk:
        near = -(-settings.eval_every // chunk) * chunk
        raise SettingsError(
            f"eval_every={settings.eval_every}: expected a multiple of chunk={chunk}; choose {near}"
        )


class SeedSettings:
    """What the settings of these methods have in common; each is a frozen dataclass with a replica a seed."""

    updates: int
    seeds: tuple[int, ...]
    eval_every: int
    patience: int | None
    checkpoint_seconds: float
    chunk: int = 1  # updates in one call of the method, unless a method has its own

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return tuple(Replica("", seed) for seed in self.seeds)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.updates, self.eval_every, self.chunk, self.patience, self.checkpoint_seconds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, only what can change a number."""
        settings: Any = self  # what inherits this is a dataclass
        named = asdict(settings)
        del named["checkpoint_seconds"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in named.items()}

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the run; see `files.settings_hash`."""
        return settings_hash(self.to_dict())


def check_data(data: Splits, least: int) -> None:
    """Errors: `ValueError` if the splits are not bits, uint8, of as many columns, or `train` has too few cases."""
    for name, x in (("train", data.train), ("valid", data.valid)):
        if x.dtype != torch.uint8:
            raise ValueError(f"{name} is {x.dtype}: expected bits, uint8 [N, D]; binarise it first")
        bits(name, x, data.train.shape[-1])
    if len(data.train) < least:
        raise ValueError(
            f"train has {len(data.train)} cases: expected at least {least}, give more or ask less"
        )


def check_corpus(data: Corpus, least: int) -> None:
    """Errors: `ValueError` if the splits have different vocabularies, an empty document, or `train` too few."""
    for name, part in (("train", data.train), ("valid", data.valid)):
        if part.vocabulary != len(data.words):
            raise ValueError(
                f"{name} counts {part.vocabulary:,} words and the vocabulary has {len(data.words):,}: "
                "expected the same; build both from one corpus"
            )
        if not part.documents or not np.diff(part.starts).min():
            raise ValueError(f"{name} has no document, or an empty one: expected words in each; drop it")
    if data.train.documents < least:
        raise ValueError(
            f"train has {data.train.documents} documents: expected at least {least}, give more or ask less"
        )


def run(
    method: Method[State],
    settings: Settings,
    data: Splits | Corpus,
    folder: str | Path | None,
    title: str,
    progress: str | None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> TrainResult[State]:
    """`loop.run`, the run named by its settings, its data, torch's version and what `more`, JSON-able, names it.

    Errors: those of `loop.run`.
    """
    arrays = (*_arrays(data.train), *_arrays(data.valid))
    identity = settings.to_dict() | {
        "data": {"dataset": data.dataset, "sha256": sha256(arrays)},
        "torch": torch.__version__,  # another version may round otherwise
        **more,
    }
    place = None if folder is None else Path(folder)
    return loop.run(method, settings.schedule, identity, place, title=title, progress=progress)


def sha256(arrays: Iterable[np.ndarray]) -> str:
    """The first sixteen hex digits of the SHA-256 of the arrays' shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def until_diverged(finite: Tensor, objective: Tensor) -> Tensor:
    """An objective that is known at the end of a chunk only, for each of its updates [count, R]: NaN where an update's
    own numbers were not `finite` (bool [count, R]), and at the last update where the objective itself is not.
    """
    known = objective.isfinite()
    finite = torch.cat([finite[:-1], finite[-1:] & known[-1:]])
    return torch.where(finite, torch.where(known, objective, 0.0), torch.nan)


def _arrays(part: Tensor | Counts) -> Sequence[np.ndarray]:
    return (part.starts, part.words, part.counts) if isinstance(part, Counts) else (part.numpy(),)


def estimate(log_prob: Callable[[Net, Tensor], Tensor], net: Net, replicas: int, x: Tensor) -> Estimate:
    """The mean log-likelihood of the cases x, exact, one replica at a time so that none depends on the others."""
    mean = torch.cat([log_prob(view(net, r), x).double().mean(-1) for r in range(replicas)])
    return Estimate(mean, torch.zeros_like(mean), len(x))
