"""Products of few rows with a large weight, as a decoder of one block makes them: at the speed of the weight's read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlmsample.kernels.support import power_of_two, runs_kernels

HALF = (torch.bfloat16, torch.float16)
MOST_ROWS = 32
"""With more, cuBLAS is as good or better."""
FEATURES, WIDTH = 64, 128
"""Of a tile of the weight."""
PROGRAMS = 256
"""Inputs are split while there are at most so many: two for every multiprocessor of a large GPU."""
MOST_PARTS = 4
WARPS, STAGES = 4, 3


def is_few(x: Tensor) -> bool:
    """Whether the rows of ``x [..., in]`` are few, and on a GPU and of a dtype that the kernel takes."""
    return x.is_cuda and x.dtype in HALF and x.shape[:-1].numel() <= MOST_ROWS and runs_kernels(x.device)


def takes(weight: Tensor) -> bool:
    """Whether the kernel takes a weight ``[out, in]``, where rows are few."""
    plain = type(weight) in (Tensor, nn.Parameter) and weight.dtype in HALF and weight.is_contiguous()
    return plain and part_count(*weight.shape) > 0


def part_count(features: int, width: int) -> int:
    """How many sums a product with a weight ``[features, width]`` is left in; 0: the kernel does not take it."""
    if features % FEATURES or width % WIDTH:
        return 0
    parts = 1
    while parts < MOST_PARTS and 2 * parts * features <= PROGRAMS * FEATURES and width % (2 * parts * WIDTH) == 0:
        parts *= 2
    return parts


def product_in_parts(x: Tensor, weight: Tensor, parts: int) -> Tensor:
    """``x [..., in]`` times ``weight [out, in]``, as parts whose sum it is; by plain torch where the kernel cannot.

    Args:
        x: of few rows, see :func:`is_few`.
        weight: of the dtype of ``x``, see :func:`takes`.
        parts: stretches of the inputs; they divide evenly, see :func:`part_count`.

    Returns:
        ``[part, ..., out]``, float32, or in the dtype of ``x`` where there is one part only.
    """
    features, width = weight.shape
    dtype = x.dtype if parts == 1 else torch.float32
    if not (is_few(x) and weight.is_contiguous()):
        pairs = zip(x.chunk(parts, -1), weight.chunk(parts, -1), strict=True)
        return torch.stack([F.linear(a.to(dtype), b.to(dtype)) for a, b in pairs])
    return launch(x.reshape(-1, width).contiguous(), weight, parts).view(parts, *x.shape[:-1], features)


def launch(x: Tensor, weight: Tensor, parts: int, warps: int = WARPS, stages: int = STAGES) -> Tensor:
    """The same by the Triton kernel, for ``x [row, in]``; the further arguments are for tuning."""
    from dlmsample.kernels import multiply as kernels

    rows, (features, width) = len(x), weight.shape
    out = torch.empty(parts, rows, features, dtype=x.dtype if parts == 1 else torch.float32, device=x.device)
    # Any: Triton adds the launch's own arguments, such as num_warps, to a kernel's.
    run: Any = kernels.multiply[(features // FEATURES, parts)]
    tile = {"ROWS": max(16, power_of_two(rows)), "FEATURES": FEATURES, "WIDTH": WIDTH}
    with torch.cuda.device_of(x):
        if rows:
            run(x, weight, out, rows, features, width, width // parts, **tile, num_warps=warps, num_stages=stages)
    return out
