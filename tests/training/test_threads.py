"""One thread within, as many as before after, whatever happens."""

from __future__ import annotations

import pytest
import torch

from nvil_repro.training.threads import one_thread


def test_one_thread_within_and_as_before_after():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(InterruptedError), one_thread():
            raise InterruptedError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
