"""Products of few rows with a large weight, as a decoder of one block makes them: at the speed of the weight's read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlmsample.kernels.narrow import NARROW, widen
from dlmsample.kernels.support import HALF, power_of_two, reads_narrow, runs_kernels

MOST_ROWS = 32
"""With more, cuBLAS is as good or better."""
MOST_NARROW_ROWS = 1024
"""Of a product with a weight in eight bits: with more, it costs little beside the product to widen the weight first."""
FEATURES, WIDTH = 64, 128
"""Of a tile of the weight."""
TALL = 128
"""Rows of a tile at the most; so many inputs at a time fit half as wide."""
PROGRAMS = 256
"""Inputs are split while there are at most so many: two for every multiprocessor of a large GPU."""
MOST_PARTS = 4
WARPS = 4
STAGES, NARROW_STAGES = 3, 5
"""Tiles on their way at a time; those of numbers in eight bits on both sides are half as large."""


def is_few(x: Tensor) -> bool:
    """Whether the rows of ``x [..., in]`` are few, and on a GPU and of a dtype that the kernel takes."""
    return x.is_cuda and x.dtype in HALF and x.shape[:-1].numel() <= MOST_ROWS and runs_kernels(x.device)


def takes(weight: Tensor) -> bool:
    """Whether the kernel takes a weight ``[out, in]``, where rows are few."""
    plain = type(weight) in (Tensor, nn.Parameter) and weight.is_contiguous()
    fits = weight.dtype in HALF or (weight.dtype == NARROW and reads_narrow(weight.device))
    return plain and fits and part_count(*weight.shape) > 0


def part_count(features: int, width: int) -> int:
    """How many sums a product with a weight ``[features, width]`` is left in; 0: the kernel does not take it."""
    if features % FEATURES or width % WIDTH:
        return 0
    parts = 1
    while parts < MOST_PARTS and 2 * parts * features <= PROGRAMS * FEATURES and width % (2 * parts * WIDTH) == 0:
        parts *= 2
    return parts


def product_in_parts(x: Tensor, weight: Tensor, scale: Tensor | None, parts: int) -> Tensor:
    """``x [..., in]`` times ``weight [out, in]``, as parts whose sum it is; by plain torch where the kernel cannot.

    Args:
        x: of few rows, see :func:`is_few`.
        weight: of the dtype of ``x``, see :func:`takes`; or e4m3, with its scale.
        scale: float32 ``[out]``, of a weight in e4m3 (:func:`~dlmsample.kernels.narrow.narrow`).
        parts: stretches of the inputs; they divide evenly, see :func:`part_count`.

    Returns:
        ``[part, ..., out]``, float32, or in the dtype of ``x`` where there is one part only.
    """
    features, width = weight.shape
    dtype = x.dtype if parts == 1 else torch.float32
    if not (is_few(x) and weight.is_contiguous()):
        wide = weight.to(dtype) if scale is None else widen(weight, scale, dtype)
        pairs = zip(x.chunk(parts, -1), wide.chunk(parts, -1), strict=True)
        return torch.stack([F.linear(a.to(dtype), b) for a, b in pairs])
    return launch(x.reshape(-1, width).contiguous(), weight, parts, scale).view(parts, *x.shape[:-1], features)


def narrow_product(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x [..., in]`` times a weight in e4m3 ``[out, in]`` with its scale ``[out]``, plus ``bias [out]``.

    On GPUs that read e4m3, up to :data:`MOST_NARROW_ROWS` rows in half precision are multiplied as the weight is read;
    anywhere else the weight is widened first.
    """
    parts = _narrow_parts(x, weight)
    if not parts:
        return F.linear(x, widen(weight, scale, x.dtype), bias)
    found = launch(x.reshape(-1, x.shape[-1]).contiguous(), weight, parts, scale)
    whole = (found[0] if parts == 1 else found.sum(0)).view(*x.shape[:-1], len(weight))
    return (whole if bias is None else whole + bias).to(x.dtype)


def _narrow_parts(x: Tensor, weight: Tensor) -> int:
    """In how many parts the kernel makes this product; 0: not at all."""
    rows = x.shape[:-1].numel()
    if not (x.is_cuda and x.dtype in HALF and rows <= MOST_NARROW_ROWS and takes(weight)):
        return 0
    return part_count(*weight.shape) if rows <= TALL else 1


def launch(
    x: Tensor,
    weight: Tensor,
    parts: int,
    scale: Tensor | None = None,
    own: Tensor | None = None,
    warps: int = WARPS,
    stages: int | None = None,
) -> Tensor:
    """The same by the Triton kernel, for ``x [row, in]``; the further arguments are for tuning.

    ``own``: float32 ``[row]``, the scales of an ``x`` that is in e4m3, too; the result is then float32.
    """
    from dlmsample.kernels import multiply as kernels

    rows, (features, width) = len(x), weight.shape
    dtype = x.dtype if parts == 1 and own is None else torch.float32
    out = torch.empty(parts, rows, features, dtype=dtype, device=x.device)
    tall = min(TALL, max(16, power_of_two(rows)))
    # tiles of rows come first: those that read the same weight run side by side
    grid = (-(-rows // tall), features // FEATURES, parts)
    # Any: Triton adds the launch's own arguments, such as num_warps, to a kernel's.
    run: Any = kernels.multiply[grid]
    tile = {"ROWS": tall, "FEATURES": FEATURES, "WIDTH": WIDTH if tall < TALL else WIDTH // 2}
    scales = (weight if scale is None else scale, x if own is None else own)
    given = (x, weight, *scales, out, rows, features, width, width // parts)
    with torch.cuda.device_of(x):
        if rows:
            narrow = {"SCALED": scale is not None, "NARROW": own is not None}
            stages = stages or (STAGES if own is None else NARROW_STAGES)
            run(*given, **tile, **narrow, num_warps=warps, num_stages=stages)
    return out
