"""What every method promises of its runs, as checks: companions, threads and interruptions change no number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from nvil_repro.training.loop import TrainResult
from nvil_repro.trees import leaves, replica
from tests.training.toys import rows_of, same


class StopHereError(Exception):
    """Thrown where a process might be killed."""


def interrupt(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int, *, after: bool) -> None:
    """Let `owner.name` throw at its `call`-th call, before or after its work."""
    work, calls = getattr(owner, name), [0]

    def wrapped(*arguments: object, **options: object) -> object:
        calls[0] += 1
        if calls[0] == call and not after:
            raise StopHereError
        result = work(*arguments, **options)
        if calls[0] == call:
            raise StopHereError
        return result

    monkeypatch.setattr(owner, name, wrapped)


class Toy(NamedTuple):
    """A training of a second: a method's `train`, the method, and what it trains on."""

    train: Callable[..., TrainResult[Any]]
    method: type
    settings: Any
    data: Any

    def run(self, folder: Path | None = None, **options: Any) -> TrainResult[Any]:
        return self.train(self.settings, self.data, folder, progress="off", **options)

    def with_seeds(self, *seeds: int) -> Toy:
        return self._replace(settings=replace(self.settings, seeds=seeds))

    def stop(self, folder: Path, call: int, *, after: bool = False) -> None:
        """Run until a call of `advance`, and leave what was written by then."""
        with pytest.MonkeyPatch.context() as patch:
            interrupt(patch, self.method, "advance", call, after=after)
            with pytest.raises(StopHereError):
                self.run(folder)


def check_threads(toy: Toy) -> None:
    """Three seeds end on two threads as on one."""
    three = toy.with_seeds(4, 0, 2)
    assert same(three.run(threads=1), three.run(threads=2))


def check_companions(toy: Toy, parts: Callable[[Any], Any] = lambda state: state) -> None:
    """Three seeds together end as each alone; `parts` of a state are those with a replica for each seed."""
    together = toy.with_seeds(4, 0, 2).run()
    for r, seed in enumerate((4, 0, 2)):
        alone = toy.with_seeds(seed).run()
        assert rows_of(alone, "", seed) == rows_of(together, "", seed)
        pairs = zip(leaves(parts(alone.state)), leaves(replica(parts(together.state), r)), strict=True)
        assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)
    assert rows_of(together, "", 4) != rows_of(together, "", 0)  # control


def check_resumes(toy: Toy, folder: Path, calls: Iterable[int], *, after: bool) -> None:
    """Stopped at any of these calls of `advance`, a run continues to the bits and files of one that was not."""
    straight = toy.run(folder / "straight")
    for call in calls:
        toy.stop(folder / str(call), call, after=after)
        assert same(toy.run(folder / str(call)), straight)
        for file in ("metrics.csv", f"checkpoint-{toy.settings.updates:09d}.safetensors"):
            assert (folder / str(call) / file).read_bytes() == (folder / "straight" / file).read_bytes()


def check_forgetting_is_noticed(toy: Toy, folder: Path, call: int, spoil: Callable[[Any], object]) -> None:
    """The control of `check_resumes`: `spoil` changes the state at every update after the interruption."""
    straight = toy.run()
    toy.stop(folder, call)
    plain = toy.method.advance

    def forgetful(self: Any, state: Any, *rest: Any) -> Any:
        spoil(state)
        return plain(self, state, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.method, "advance", forgetful)
        assert not same(toy.run(folder), straight)


def forget(part: str, index: int | None = None) -> Callable[[Any], None]:
    """Every number of a part of the state, or of one of the members of that part."""

    def zero(state: Any) -> None:
        whole = getattr(state, part)
        for _, tensor in leaves(whole if index is None else whole[index]):
            tensor.zero_()

    return zero
