"""The kernels for a mixture's experts beside transformers' grouped products, and what tiles suit them.

    python -m benchmarks.experts --tiles --json benchmarks/results/experts_speed.json

One layer's experts of LLaDA2-mini with random weights in bfloat16, each position routed to random ones. The layers'
weights take turns, so that no cache holds them, and the calls of a measurement are one CUDA graph. ``read_us`` is what
reading the weights of every expert once takes at the speed of a large copy on that GPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.roofline import measure
from benchmarks.vocabulary import timed
from dlmsample.kernels import experts as kernels

POSITIONS = (32, 256, 1024, 4096)
LAYERS = 4


class Tile(NamedTuple):
    """Of a weight, and how a program works on it."""

    features: int = kernels.FEATURES
    width: int = kernels.WIDTH
    warps: int = kernels.WARPS
    stages: int = kernels.STAGES

    def launch(self, *given: Tensor) -> Tensor:
        tile = self.features, self.width
        return kernels.launch(*given, tile=tile, warps=self.warps, stages=self.stages)


USED = Tile()
TILES = tuple(itertools.starmap(Tile, itertools.product((64, 128), (64, 128), (4, 8), (2, 3, 4))))


class Shape(NamedTuple):
    """Of a layer's experts."""

    experts: int = 256
    width: int = 2048
    features: int = 512
    each: int = 8  #: experts of a position


class Grouped(nn.Module):
    """One layer's experts as transformers' grouped products take them."""

    num_experts: int
    has_gate, has_bias, is_transposed, has_post_expert_norm, _is_expert_parallel = True, False, False, False, False

    def __init__(self, gate_up: Tensor, down: Tensor) -> None:
        super().__init__()
        self.gate_up_proj, self.down_proj, self.num_experts = nn.Parameter(gate_up), nn.Parameter(down), len(down)

    def _apply_gate(self, value: Tensor) -> Tensor:
        gate, up = value.chunk(2, -1)
        return F.silu(gate) * up

    def forward(self, *given: Tensor) -> Tensor:
        from transformers.integrations.moe import grouped_mm_experts_forward

        return grouped_mm_experts_forward(self, *given)


def made(shape: Shape, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """The weights of some layers."""

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, device=device, dtype=torch.bfloat16) * 0.02

    count, width, features, _ = shape
    return [(draw(count, 2 * features, width), draw(count, width, features)) for _ in range(LAYERS)]


def routed(shape: Shape, positions: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, experts of each position, and their shares."""
    hidden = torch.randn(positions, shape.width, device=device, dtype=torch.bfloat16)
    chosen = torch.rand(positions, shape.experts, device=device).topk(shape.each).indices
    return hidden, chosen, torch.rand(positions, shape.each, device=device)


def cells(
    shape: Shape,
    positions: int,
    weights: list[tuple[Tensor, Tensor]],
    tiles: Sequence[Tile],
    clock: Callable[[Sequence[Callable[[], object]]], float],
) -> Iterator[dict[str, Any]]:
    """Grouped products, and the kernels with each tile; microseconds a layer."""
    given = routed(shape, positions, weights[0][0].device)
    grouped = [Grouped(*pair) for pair in weights]
    with torch.no_grad():
        yield {"positions": positions, "what": "grouped_mm", "us": clock([lambda g=g: g(*given) for g in grouped])}
        for tile in tiles:
            run = [lambda pair=pair, tile=tile: tile.launch(*given, *pair) for pair in weights]
            cell = {"positions": positions, "what": "kernels", "tile": tile}
            try:
                yield cell | {"us": clock(run)}
            except Exception as error:  # of Triton, where a tile needs more than a multiprocessor has
                yield cell | {"error": f"{type(error).__name__}: {error}"[:200]}


def microseconds(calls: Sequence[Callable[[], object]]) -> float:
    return 1000 * timed(calls, repeats=20, graph=True)["ms"]


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="write the results here")
    parser.add_argument("--tiles", action="store_true", help="time every tile, not only the one that is used")
    given = parser.parse_args(args)
    torch.manual_seed(0)
    shape, tiles = Shape(), TILES if given.tiles else (USED,)
    device = torch.device("cuda")
    weights = made(shape, device)
    size = 2 * shape.experts * 3 * shape.width * shape.features
    record: dict[str, Any] = {
        "command": "python -m benchmarks.experts " + " ".join(sys.argv[1:] if args is None else args),
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "shape": shape._asdict(),
        "used": USED,
        "read_us": 1e6 * size / measure(device, torch.bfloat16).bytes_per_s,
        "cells": [],
    }
    for positions in POSITIONS:
        for cell in cells(shape, positions, weights, tiles, microseconds):
            record["cells"].append(cell)
            print(json.dumps(cell), flush=True)
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
