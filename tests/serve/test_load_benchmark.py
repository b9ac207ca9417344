"""The load benchmark measures what it says, on a few requests."""

from __future__ import annotations

import pytest

from benchmarks.serve_load import measure


@pytest.mark.full
def test_a_small_run() -> None:
    found = measure(count=6, clients=3, batch=4, repeats=1)  # compares the answers with the Sampler's itself
    assert found["server"]["tokens"] == found["offline"]["tokens"]
    assert 0 < found["server"]["p50_seconds"]["median"] <= found["server"]["p95_seconds"]["median"]
    assert all(ratio > 0 for ratio in found["server_to_offline"].values())
