"""Attention of active blocks over a block cache, in Triton; :mod:`~dlmsample.kernels.attention` launches it.

A block's queries all see the same keys: what lies before the block, read from the cache, and the block itself, whose
keys and values come from the forward and are written to the cache on the way. So one number per row says what is
visible, and no mask is read. Where ``WHOLE``, they also see what the cache holds behind the block, up to the row's
length, and what the block has beyond that is not written. Queries that share keys (of one block, of heads in one group)
are the rows of one matrix product. Where there are few of them, the keys are split among programs and ``combine``
merges the parts.
"""

# Triton types what runs when traced, not what is written.
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LOWEST = tl.constexpr(-1e30)  # finite, so that differences are


@triton.jit
def _seen(query, key, value, inside, scale, best, total, mixed, EXACT: tl.constexpr):
    """The running softmax after some more keys: largest score, Σ 2^(score − largest), and the values so weighted."""
    score = tl.dot(query, tl.trans(key), input_precision=EXACT) * (scale * LOG2_E)
    score = tl.where(inside[None, :], score, LOWEST)
    top = tl.maximum(best, tl.max(score, 1))
    weight = tl.where(inside[None, :], tl.exp2(score - top[:, None]), 0.0)
    fade = tl.exp2(best - top)
    mixed = mixed * fade[:, None] + tl.dot(weight.to(value.dtype), value, input_precision=EXACT)
    return top, total * fade + tl.sum(weight, 1), mixed


@triton.jit
def attend(q, k, v, keys, values, start, length, out, parts, sums, scale,
           width, groups, tiles, q_row, q_head, q_pos, k_row, k_head, k_pos, v_row, v_head, v_pos,
           kept_row, kept_head, kept_pos, SIZE: tl.constexpr, DIM: tl.constexpr, QUERIES: tl.constexpr,
           KEYS: tl.constexpr, SPLITS: tl.constexpr, EXACT: tl.constexpr, BYTES: tl.constexpr,
           WHOLE: tl.constexpr):  # fmt: skip
    """Queries of one tile against one part of what its row and key head hold; one more part is written, not read."""
    kv_heads = tl.num_programs(1)
    row, tile, split = tl.program_id(0) // tiles, tl.program_id(0) % tiles, tl.program_id(2)
    head = tl.program_id(1)
    row, head = row.to(tl.int64), head.to(tl.int64)
    dim = tl.arange(0, DIM)
    real = dim < SIZE

    begin = tl.load(start + row).to(tl.int32)
    end = tl.load(length + row).to(tl.int32)
    if not WHOLE:
        end = tl.minimum(begin + width, end)
    k, v = k + row * k_row + head * k_head, v + row * v_row + head * v_head
    keys, values = keys + row * kept_row + head * kept_head, values + row * kept_row + head * kept_head
    step = tl.arange(0, KEYS)
    if split == SPLITS:
        # a program of its own, so that none that reads must wait for what it writes
        if tile == 0:
            for at in range(0, width, KEYS):
                some = (at + step < width)[:, None] & real[None, :]
                if WHOLE:  # wide blocks may reach beyond the cache
                    some = some & (begin + at + step < end)[:, None]
                where = (begin + at + step)[:, None] * kept_pos + dim[None, :]
                tl.store(keys + where, tl.load(k + (at + step)[:, None] * k_pos + dim[None, :], some, 0.0), mask=some)
                tl.store(values + where, tl.load(v + (at + step)[:, None] * v_pos + dim[None, :], some, 0.0), mask=some)
        return

    number = tile * QUERIES + tl.arange(0, QUERIES)  # of a query among those that share the keys
    mine = number < groups * width
    q_at = q + row * q_row + (head * groups + number // width) * q_head + (number % width) * q_pos
    query = tl.load(q_at[:, None] + dim[None, :], mask=mine[:, None] & real[None, :], other=0.0)
    best = tl.full((QUERIES,), LOWEST, tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    mixed = tl.zeros((QUERIES, DIM), tl.float32)

    share = tl.cdiv(tl.cdiv(end, SPLITS), KEYS) * KEYS
    for at in range(split * share, tl.minimum((split + 1) * share, end), KEYS):
        position = at + step
        own, inside = position >= begin, position < end
        if WHOLE:
            own = own & (position < begin + width)
        key_at = tl.where(own, k + (position - begin) * k_pos, keys + position * kept_pos)
        value_at = tl.where(own, v + (position - begin) * v_pos, values + position * kept_pos)
        # a choice of addresses loses what is known of them, and with it vectorised and prefetched loads
        key_at, value_at = tl.multiple_of(key_at, BYTES), tl.multiple_of(value_at, BYTES)
        some = inside[:, None] & real[None, :]
        key = tl.load(key_at[:, None] + dim[None, :], mask=some, other=0.0)
        value = tl.load(value_at[:, None] + dim[None, :], mask=some, other=0.0)
        best, total, mixed = _seen(query, key, value, inside, scale, best, total, mixed, EXACT)

    heads = kv_heads * groups
    place = (row * width + number % width) * heads + head * groups + number // width  # [row, pos, head]
    if SPLITS == 1:
        given = mixed / tl.where(total > 0, total, 1.0)[:, None]
        where = place[:, None] * SIZE + dim[None, :]
        tl.store(out + where, given.to(out.dtype.element_ty), mask=mine[:, None] & real[None, :])
    else:
        part = place * SPLITS + split
        tl.store(parts + part[:, None] * SIZE + dim[None, :], mixed, mask=mine[:, None] & real[None, :])
        tl.store(sums + 2 * part, best, mask=mine)
        tl.store(sums + 2 * part + 1, total, mask=mine)


@triton.jit
def combine(parts, sums, out, SIZE: tl.constexpr, DIM: tl.constexpr, SPLITS: tl.constexpr):
    """The parts of one query, weighted by what each saw."""
    place = tl.program_id(0).to(tl.int64)
    dim, part = tl.arange(0, DIM), place * SPLITS + tl.arange(0, SPLITS)
    best, total = tl.load(sums + 2 * part), tl.load(sums + 2 * part + 1)
    weight = tl.exp2(best - tl.max(best, 0))
    mixed = tl.load(parts + part[:, None] * SIZE + dim[None, :], mask=(dim < SIZE)[None, :], other=0.0)
    whole = tl.sum(total * weight, 0)
    given = tl.sum(mixed * weight[:, None], 0) / tl.where(whole > 0, whole, 1.0)
    tl.store(out + place * SIZE + dim, given.to(out.dtype.element_ty), mask=dim < SIZE)
