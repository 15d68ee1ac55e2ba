"""What a training run is: everything that can change its numbers, checked and hashed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any, TypeGuard

import torch

from nvil_repro.files import settings_hash
from nvil_repro.learning.nvil import ALPHA, VARIANTS
from nvil_repro.models.belief_net import SBN, Architecture
from nvil_repro.training.advance import ENGINES, METHODS, default_engine
from nvil_repro.training.method import Replica, Schedule
from nvil_repro.training.optimisers import Optimiser

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class SettingsError(ValueError):
    """A setting that cannot be; the message names it, what was expected and a way out."""


@dataclass(frozen=True)
class TrainSettings:
    """Training a belief network, `variants` x `seeds` as replicas; defaults are the paper's numbers.

    Rates multiply sums over the minibatch. `rate_scale` multiplies all three rates of a variant; from update
    `decay_from` on they fall linearly, to zero at `updates`. Replicas of equal seed share start, minibatches
    and uniforms. Nothing but `checkpoint_seconds` is outside the hash.
    Errors: `SettingsError`.
    """

    layers: tuple[int, ...]  # h^1 first
    updates: int
    architecture: Architecture = SBN
    method: str = "nvil"  # or "wake-sleep", whose one variant is ""
    variants: tuple[str, ...] = ("full",)
    seeds: tuple[int, ...] = (0,)
    optimiser: Optimiser = field(default_factory=Optimiser)
    rate: float = 3e-4
    inference_rate: float = 6e-5
    baseline_rate: float = 6e-5  # the paper states none
    rate_scale: Mapping[str, float] = field(default_factory=dict)
    decay_from: int | None = None  # None: the rates never fall
    batch_size: int = 20
    alpha: float = ALPHA
    baseline_units: int = 100
    eval_every: int = 10_000
    validation_samples: int = 10
    patience: int | None = None  # evaluations without a better one before a replica stops; None: never
    chunk: int = 50  # updates in one call of the engine; a position in the random streams is a chunk
    dtype: str = "float32"
    engine: str = "auto"
    device: str = "cpu"
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("layers", "variants", "seeds"):
            value = getattr(self, name)
            _expect(isinstance(value, (tuple, list)), name, value, "a tuple", f"write {name}=({value!r},)")
            object.__setattr__(self, name, tuple(value))
        for name in ("updates", "batch_size", "baseline_units", "eval_every", "chunk"):
            _integer(name, getattr(self, name), 1)
        _integer("validation_samples", self.validation_samples, 2)
        if self.patience is not None:
            _integer("patience", self.patience, 1)
        for name in ("rate", "inference_rate", "baseline_rate"):
            _number(name, getattr(self, name))
        _number("checkpoint_seconds", self.checkpoint_seconds)
        _expect(
            _is_number(self.alpha) and 0 <= self.alpha < 1,
            "alpha",
            self.alpha,
            "a number in [0, 1)",
            "the paper's is 0.8",
        )
        _choice("method", self.method, METHODS)
        right = isinstance(self.architecture, Architecture)
        _expect(right, "architecture", self.architecture, "an Architecture", "write Architecture(prior=True)")
        _choice("dtype", self.dtype, tuple(DTYPES))
        _choice("engine", self.engine, ("auto", *ENGINES))
        self._check_replicas()
        self._check_schedule()
        self._check_device()

    def _check_replicas(self) -> None:
        _expect(
            bool(self.layers),
            "layers",
            self.layers,
            "at least one layer",
            "the paper's are (200,) and (200, 200)",
        )
        for size in self.layers:
            _integer("layers", size, 1)
        for seed in self.seeds:
            _integer("seeds", seed, 0)
        for name in ("variants", "seeds"):
            value = getattr(self, name)
            unique = bool(value) and len(set(value)) == len(value)
            _expect(unique, name, value, "at least one entry, each once", "leave out the repeated ones")
        known = tuple(VARIANTS)
        if self.method == "wake-sleep":
            known = ("",)
            _expect(
                self.variants == known,
                "variants",
                self.variants,
                "none under wake-sleep",
                'write variants=("",)',
            )
        for variant in (*self.variants, *self.rate_scale):
            _choice("variants" if variant in self.variants else "rate_scale", variant, known)
        for variant, scale in self.rate_scale.items():
            _number(f"rate_scale[{variant!r}]", scale)
        right = isinstance(self.optimiser, Optimiser)
        _expect(
            right, "optimiser", self.optimiser, "an Optimiser", 'write Optimiser("sgd"), "momentum" or "adam"'
        )

    def _check_schedule(self) -> None:
        """The engine works in chunks, so what happens between updates happens between chunks."""
        for name in ("eval_every", "decay_from"):
            if (value := getattr(self, name)) is None:
                continue
            _integer(name, value, 0 if name == "decay_from" else 1)
            near = max(1, round(value / self.chunk)) * self.chunk
            multiple = value % self.chunk == 0
            _expect(
                multiple,
                name,
                value,
                f"a multiple of chunk={self.chunk}",
                f"choose {near}, or chunk={value}",
            )
        if self.decay_from is not None:
            within = self.decay_from < self.updates
            _expect(within, "decay_from", self.decay_from, f"less than updates={self.updates}", "None: never")

    def _check_device(self) -> None:
        compiled = self.engine != "kernel" or find_spec("numba") is not None
        _expect(
            compiled,
            "engine",
            self.engine,
            "numba to be installed",
            "pip install numba, or set engine='auto'",
        )
        try:
            kind = torch.device(self.device).type
        except (RuntimeError, TypeError):
            kind = ""
        _expect(kind in ("cpu", "cuda"), "device", self.device, "cpu or cuda", "set device='cpu'")
        fits = self.engine != ("kernel" if kind == "cuda" else "graph")
        _expect(fits, "engine", self.engine, f"another on {self.device}", "set engine='auto'")
        triton = self.engine != "graph" or find_spec("triton") is not None
        _expect(triton, "engine", self.engine, "Triton to be installed", "set engine='auto'")

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Seed by seed, variants in order within each: replica r has seed r // V and variant r % V."""
        return tuple(Replica(variant, seed) for seed in self.seeds for variant in self.variants)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.updates, self.eval_every, self.chunk, self.patience, self.checkpoint_seconds)

    @property
    def torch_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype]

    @property
    def resolved_engine(self) -> str:
        """`kernel`, `graph` or `torch`; their numbers agree to rounding only, so the hash holds which."""
        return default_engine(self.device) if self.engine == "auto" else self.engine

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, only what can change a number."""
        settings = asdict(self) | {
            "architecture": self.architecture._asdict(),
            "engine": self.resolved_engine,
            "rate_scale": dict(self.rate_scale),
        }
        del settings["checkpoint_seconds"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the run; see `files.settings_hash`."""
        return settings_hash(self.to_dict())


def _expect(holds: bool, name: str, value: object, expected: str, advice: str) -> None:
    if not holds:
        raise SettingsError(f"{name}={value!r}: expected {expected}; {advice}")


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    _expect(value in allowed, name, value, "one of " + ", ".join(allowed), f"for example {allowed[0]!r}")


def _integer(name: str, value: object, least: int) -> None:
    right = isinstance(value, int) and not isinstance(value, bool) and value >= least
    _expect(right, name, value, f"an integer of at least {least}", f"for example {least}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(name: str, value: object) -> None:
    right = _is_number(value) and value >= 0
    _expect(right, name, value, "a finite number of at least 0", "the defaults are the paper's")
