"""benchmarks/experts.py on a CPU: both sides compute the same, and a tile that does not fit is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from benchmarks import experts as benchmark
from dlmsample.kernels import experts as kernels

SMALL = benchmark.Shape(experts=5, width=16, features=8, each=2)


def test_both_sides_compute_the_same() -> None:
    (gate_up, down), *_ = benchmark.made(SMALL, torch.device("cpu"))
    hidden, chosen, share = benchmark.routed(SMALL, 7, torch.device("cpu"))
    given = hidden.float(), chosen, share
    with torch.no_grad():
        grouped = benchmark.Grouped(gate_up.float(), down.float())(*given)
    torch.testing.assert_close(kernels.experts(*given, gate_up.float(), down.float()), grouped)


def test_every_tile_is_timed_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = (benchmark.USED, benchmark.Tile(stages=9))

    def launch(*given: torch.Tensor, stages: int, **_: Any) -> torch.Tensor:
        if stages == 9:
            raise RuntimeError("out of shared memory")
        return kernels.experts(*given)

    def clock(calls: Sequence[Callable[[], Any]]) -> float:
        return float(len([call() for call in calls]))

    monkeypatch.setattr(kernels, "launch", launch)
    weights = benchmark.made(SMALL, torch.device("cpu"))
    found = list(benchmark.cells(SMALL, 7, weights, tiles, clock))
    assert [cell.get("us") for cell in found] == [benchmark.LAYERS, benchmark.LAYERS, None]
    assert found[2]["error"] == "RuntimeError: out of shared memory"
