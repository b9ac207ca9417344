"""A product of few rows with a large weight, in Triton; :mod:`~dlmsample.kernels.product` launches it.

Such a product takes as long as its weight takes to be read, so all that counts is that every multiprocessor always
waits for enough of it. Where a weight has too few output features for that, its inputs are split as well, and the parts
are summed by whoever reads them: one more read of a small value, and no kernel of its own.

A weight in eight bits is half as much to read. Its numbers are exact in the dtype of the rows, and its scale, one per
output feature, is multiplied into the sum. Rows may be in eight bits as well, each with a scale of its own: then
nothing is widened, and tensor cores take both as they are.
"""

# Triton types what runs when traced, not what is written.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def multiply(x, weight, scale, own, out, rows, features, width, share,
             ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr,
             SCALED: tl.constexpr, NARROW: tl.constexpr):  # fmt: skip
    """A tile of rows times a tile of output features, over one part of the inputs."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    feature = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    part = tl.program_id(2)
    real = (row < rows)[:, None]
    at = part * share + tl.arange(0, WIDTH)
    x_at = x + row[:, None] * width + at[None, :]
    weight_at = weight + feature.to(tl.int64)[:, None] * width + at[None, :]
    # the weight comes first: its tile is as tall as a tensor core's product must be, and rows are few
    total = tl.zeros((FEATURES, ROWS), tl.float32)
    for _ in range(0, share, WIDTH):
        tile = tl.load(weight_at).to(x.dtype.element_ty)
        given = tl.trans(tl.load(x_at, mask=real, other=0.0))
        # of eight-bit numbers tensor cores keep few bits of a sum: one over a tile is added to the total in float32
        total = tl.dot(tile, given, total, max_num_imprecise_acc=WIDTH) if NARROW else tl.dot(tile, given, total)
        x_at += WIDTH
        weight_at += WIDTH
    if SCALED:
        total *= tl.load(scale + feature)[:, None]
    if NARROW:
        total *= tl.load(own + row, mask=row < rows, other=0.0)[None, :]
    where = (part * rows + row)[:, None] * features + feature[None, :]
    tl.store(out + where, tl.trans(total).to(out.dtype.element_ty), mask=real)
