"""What a table is made of: how a net is trained and what is measured of it, once, beside its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nvil_repro.data.mnist import PIXELS, MnistSplits, held_out
from nvil_repro.evaluation.bounds import estimate_bound
from nvil_repro.evaluation.importance import importance_estimate, random_part, whole_set_estimate
from nvil_repro.files import settings_hash, write_atomic
from nvil_repro.models.mixture import log_prob as mixture_log_prob
from nvil_repro.models.nade import log_prob as nade_log_prob
from nvil_repro.reproduction.provenance import code_hash
from nvil_repro.reproduction.runs import multiply_adds
from nvil_repro.training import belief_nets, mixture, nade
from nvil_repro.training.loop import TrainResult
from nvil_repro.training.settings import TrainSettings
from nvil_repro.training.threads import one_thread

CODE = ("reproduction/measurements.py",)  # and all that it imports
CASES = 60_000  # of a pass
Numbers = dict[str, tuple[float, float, int, str]]  # metric: value and stderr in nats, cases, note


class Measured(NamedTuple):
    """A trained net, one replica, and its test numbers; none if it diverged.

    Of which parameters is for `train_and_measure` to say: the best on validation, or of RBMs the last.
    """

    result: TrainResult[Any]
    test: Numbers


class Measurement(Protocol):
    """What is trained, by which module of `training`, and what is measured."""

    @property
    def training(self) -> Any: ...
    @property
    def module(self) -> str:
        """The module whose `train` does it, by its file in the package."""

    @property
    def multiply_adds(self) -> float:
        """Of an update, about."""

    @property
    def name(self) -> str:
        """Names what can change the numbers, given the training: sizes, and code, its module's and all that imports."""

    def train(self, data: Any, folder: Path, **options: Any) -> TrainResult[Any]: ...
    def measure(self, net: Any, data: Any) -> Numbers: ...


@dataclass(frozen=True)
class Bounds:
    """A belief network: the paper's test bound, and the importance-weighted estimate."""

    training: TrainSettings
    bound_samples: int
    test_cases: int
    importance_samples: int
    importance_cases: int
    module: str = "training/belief_nets.py"

    @property
    def multiply_adds(self) -> float:
        return multiply_adds(self.training)

    @property
    def name(self) -> str:
        sizes = (self.bound_samples, self.test_cases, self.importance_samples, self.importance_cases)
        return settings_hash({"sizes": sizes, "code": code_hash(of=CODE)})

    def train(self, data: MnistSplits, folder: Path, **options: Any) -> TrainResult[Any]:
        return belief_nets.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: MnistSplits) -> Numbers:
        x, seed = held_out(data, self.test_cases), self.training.seeds[0]
        bound = estimate_bound(net, x, samples=self.bound_samples, seed=seed, name="test")
        part = random_part(len(x), self.importance_cases)
        weighted = importance_estimate(net, x[part], self.importance_samples, seed=seed)
        value, stderr = whole_set_estimate(bound, part, weighted)
        effective = weighted.effective_samples.median().item()
        note = f"{self.importance_samples:,} samples a case, median effective {effective:.0f}"
        return {
            "bound": (bound.value.item(), bound.stderr.item(), bound.n, ""),
            "importance_weighted": (value.item(), stderr.item(), weighted.n, note),
        }


@dataclass(frozen=True)
class Likelihood:
    """A model whose likelihood is exact: a mixture of Bernoullis or NADE."""

    training: mixture.MixtureSettings | nade.NadeSettings
    test_cases: int

    @property
    def _mixed(self) -> bool:
        return isinstance(self.training, mixture.MixtureSettings)

    @property
    def module(self) -> str:
        return "training/mixture.py" if self._mixed else "training/nade.py"

    @property
    def multiply_adds(self) -> float:
        if isinstance(self.training, mixture.MixtureSettings):
            return 2 * CASES * PIXELS * self.training.components
        sigmoids = 10  # cost as much as ten products
        return 3 * sigmoids * PIXELS * self.training.hidden * self.training.batch_size

    @property
    def name(self) -> str:
        return settings_hash({"cases": self.test_cases, "code": code_hash(of=CODE)})

    def train(self, data: MnistSplits, folder: Path, **options: Any) -> TrainResult[Any]:
        if isinstance(self.training, mixture.MixtureSettings):
            return mixture.train(self.training, data, folder, **options)
        return nade.train(self.training, data, folder, **options)

    def measure(self, net: Any, data: MnistSplits) -> Numbers:
        x = held_out(data, self.test_cases)
        values = (mixture_log_prob if self._mixed else nade_log_prob)(net, x)[0].double()
        stderr = values.std().item() / len(x) ** 0.5
        return {"log_likelihood": (values.mean().item(), stderr, len(x), "")}


def measured_file(measurement: Measurement, *, last: bool = False) -> str:
    """The file, in the folder of the training, that holds what was measured of its best or `last` parameters."""
    return f"test-{'last-' * last}{measurement.name}.json"


def train_and_measure(
    measurement: Measurement, data: Any, folder: Path, *, last: bool = False, **options: Any
) -> Measured:
    """Train the net, then measure the best of it on validation, or the `last`, unless that was done.

    `options` are those of the module's `train`.
    """
    path = folder / measured_file(measurement, last=last)  # named by the code as it is before a long training
    result = measurement.train(data, folder, **options)
    if not path.is_file():
        with one_thread():
            net = result.final if last else result.best.net
            test = {} if result.diverged else measurement.measure(net, data)
        write_atomic(path, json.dumps(test, allow_nan=False))
    found: Mapping[str, Any] = json.loads(path.read_text())
    return Measured(result, {metric: tuple(numbers) for metric, numbers in found.items()})
