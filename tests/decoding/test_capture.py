"""Captures as CUDA graphs: what fails costs only itself. Needs a GPU."""

from __future__ import annotations

import pytest
import torch

from dlmsample.decoding.captured.capture import cuda_graphs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_capture_that_fails_or_goes_leaves_the_others_possible() -> None:
    record, x = cuda_graphs(), torch.zeros(4, device="cuda")
    early, negative = record(lambda: -x)
    with pytest.raises(RuntimeError):
        record(lambda: x.sum().item())  # waits for the device
    replay, out = record(lambda: x + 1)
    x.fill_(2)
    replay()
    early()
    assert negative.tolist() == [-2] * 4
    assert out.tolist() == [3] * 4
    del replay, out
    replay, out = record(lambda: x * 2)
    replay()
    assert out.tolist() == [4] * 4
