"""What every test may rely on: a few threads, and none of the user's data seen or touched."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)
pytest.register_assert_rewrite("tests.training.promises")


@pytest.fixture(autouse=True)
def no_data(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Point the data tiers at an empty place; a test marked `real_data` finds data as a user's run does."""
    if not request.node.get_closest_marker("real_data"):
        monkeypatch.setenv("NVIL_REPRO_CACHE", str(tmp_path_factory.getbasetemp() / "no-data"))
        monkeypatch.delenv("NVIL_REPRO_DATA", raising=False)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: gzip's hold the time, and workers that collect a second apart would disagree."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
