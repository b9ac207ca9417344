"""The layers of a mixture of experts for few positions, in Triton; :mod:`~dlmsample.kernels.experts` launches them.

A *slot* is a position together with one of the experts that it was routed to. With few positions nearly every expert is
read and multiplied with a handful of slots, so that the step takes as long as the experts' weights take to be read.
A tile of rows is therefore as tall as an expert's slots are many, rows are gathered as they are read, and results are
stored at their slots: nothing is sorted, copied into order, or put back.
"""

# Triton types what runs when traced, not what is written.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def assign(chosen, members, counts, slots, CHUNK: tl.constexpr):
    """An expert's slots in their order, in its row of ``members [expert, slot]``, and how many there are."""
    expert = tl.program_id(0)
    members += expert.to(tl.int64) * slots
    count = tl.program_id(0) * 0  # an integer of the program's, not a constant
    for begin in range(0, slots, CHUNK):
        slot = begin + tl.arange(0, CHUNK)
        mine = (tl.load(chosen + slot, mask=slot < slots, other=-1) == expert).to(tl.int32)
        tl.store(members + count + tl.cumsum(mine, 0) - 1, slot, mask=mine == 1)
        count += tl.sum(mine, 0)
    tl.store(counts + expert, count)


@triton.jit
def gate_and_up(x, weight, members, counts, out, slots, each, features, width,
                ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr):  # fmt: skip
    """``silu(gate) * up`` of a tile of features for all slots of an expert; a slot's row is its position's."""
    feature = tl.program_id(0) * FEATURES + tl.arange(0, FEATURES)
    expert = tl.program_id(1).to(tl.int64)
    count = tl.load(counts + expert)
    at = tl.arange(0, WIDTH)
    first = weight + expert * 2 * features * width + feature.to(tl.int64)[:, None] * width + at[None, :]
    for begin in range(0, count, ROWS):
        row = begin + tl.arange(0, ROWS)
        real = row < count
        slot = tl.load(members + expert * slots + row, mask=real, other=0).to(tl.int64)
        x_at = x + (slot // each)[:, None] * width + at[None, :]
        gate_at, up_at = first, first + features.to(tl.int64) * width
        # the weight comes first: its tile is as tall as a tensor core's product must be, and rows are few
        gate = tl.zeros((FEATURES, ROWS), tl.float32)
        up = tl.zeros((FEATURES, ROWS), tl.float32)
        for _ in range(0, width, WIDTH):
            rows = tl.trans(tl.load(x_at, mask=real[:, None], other=0.0))
            gate = tl.dot(tl.load(gate_at), rows, gate)
            up = tl.dot(tl.load(up_at), rows, up)
            x_at += WIDTH
            gate_at += WIDTH
            up_at += WIDTH
        value = tl.trans(gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty)
        tl.store(out + slot[:, None] * features + feature[None, :], value, mask=real[:, None])


@triton.jit
def down(x, weight, share, members, counts, out, slots, features, width,
         ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr):  # fmt: skip
    """A tile of features of an expert's results for all its slots, each times the slot's share."""
    feature = tl.program_id(0) * FEATURES + tl.arange(0, FEATURES)
    expert = tl.program_id(1).to(tl.int64)
    count = tl.load(counts + expert)
    at = tl.arange(0, WIDTH)
    first = weight + expert * features * width + feature.to(tl.int64)[:, None] * width + at[None, :]
    for begin in range(0, count, ROWS):
        row = begin + tl.arange(0, ROWS)
        real = row < count
        slot = tl.load(members + expert * slots + row, mask=real, other=0).to(tl.int64)
        x_at, weight_at = x + slot[:, None] * width + at[None, :], first
        total = tl.zeros((FEATURES, ROWS), tl.float32)
        for _ in range(0, width, WIDTH):
            total = tl.dot(tl.load(weight_at), tl.trans(tl.load(x_at, mask=real[:, None], other=0.0)), total)
            x_at += WIDTH
            weight_at += WIDTH
        total *= tl.load(share + slot, mask=real, other=0.0)[None, :]
        tl.store(out + slot[:, None] * features + feature[None, :], tl.trans(total).to(out.dtype.element_ty),
                 mask=real[:, None])  # fmt: skip
