"""Attention of active blocks over a block cache: one operation that also writes the blocks' keys and values.

Written as an operation of its own so that ``torch.compile`` takes it as it is. On a GPU it is one Triton kernel (two
where the keys are split), elsewhere plain torch.
"""

from __future__ import annotations

from itertools import chain
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dlmsample.kernels.support import power_of_two

PROGRAMS = 128
"""The keys are split until there are about so many programs: one for every multiprocessor of a large GPU."""
MOST_SPLITS = 16
LEAST = 64
"""Keys that are worth a program of their own."""
MOST_QUERIES, MOST_KEYS = 64, 64
KEY_BYTES = 2**14
"""Of the keys that a program reads in one step; keys and values of two or three steps are held at once."""


@torch.library.custom_op("dlmsample::block_attention", mutates_args=("keys", "values"))
def block_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keys: Tensor,
    values: Tensor,
    start: Tensor,
    length: Tensor,
    scale: float,
    whole: bool = False,
) -> Tensor:
    """Every query sees the cache's positions before ``start``, and those of its own block before ``length``.

    The block's keys and values are written at ``start``; nothing else of the cache changes. Positions at or past a
    row's ``length`` are padding: their output means nothing. The launch depends on shapes only.

    ``whole``: every query also sees what the cache holds behind its block, before ``length``. The block may then
    reach beyond the cache; of what lies at or past ``length`` nothing is written.

    Args:
        q: ``[row, head, pos, size]``, positions of the active block.
        k: ``[row, key head, pos, size]``; a group of as many heads as divide evenly shares a key head.
        v: as ``k``.
        keys: the cache, ``[row, key head, position, size]``, the last axis contiguous; at least the rows of ``q``.
        values: as ``keys``.
        start: int64 ``[row]``, first position of the active block.
        length: int64 ``[row]``, positions of the row's canvas.
        scale: of the scores.
        whole: whether a query sees what lies behind its block.

    Returns:
        ``[row, pos, head, size]``.
    """
    return plain(q, k, v, keys, values, start, length, scale, whole)


@block_attention.register_fake
def _shape(q: Tensor, *_: Any) -> Tensor:
    rows, heads, width, size = q.shape
    return q.new_empty(rows, width, heads, size)


def plain(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keys: Tensor,
    values: Tensor,
    start: Tensor,
    length: Tensor,
    scale: float,
    whole: bool = False,
) -> Tensor:
    """The same in torch, over all that the cache has room for."""
    rows, heads, width, _ = q.shape
    kept_keys, kept_values = keys[:rows], values[:rows]
    places = torch.arange(keys.shape[2], device=q.device)
    end = length if whole else torch.minimum(start + width, length)
    if whole:
        within = places - start[:, None]
        own = ((within >= 0) & (within < width) & (places < end[:, None]))[:, None, :, None]
        source = within.clamp(0, width - 1)[:, None, :, None].expand(-1, k.shape[1], -1, k.shape[3])
        kept_keys.copy_(torch.where(own, k.gather(2, source), kept_keys))
        kept_values.copy_(torch.where(own, v.gather(2, source), kept_values))
    else:
        at = (start[:, None] + torch.arange(width, device=q.device))[:, None, :, None].expand_as(k)
        kept_keys.scatter_(2, at, k)
        kept_values.scatter_(2, at, v)
    seen = (places < end[:, None])[:, None]
    # what is masked must still be finite: 0 times NaN is NaN
    hidden, groups = ~seen[..., None], heads // k.shape[1]
    held_keys = kept_keys.masked_fill(hidden, 0).repeat_interleave(groups, 1)
    held_values = kept_values.masked_fill(hidden, 0).repeat_interleave(groups, 1)
    mask = seen[:, :, None].expand(-1, -1, width, -1)
    given = F.scaled_dot_product_attention(q, held_keys, held_values, mask, scale=scale)
    return given.transpose(1, 2).contiguous()


@block_attention.register_kernel("cuda")
def launch(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keys: Tensor,
    values: Tensor,
    start: Tensor,
    length: Tensor,
    scale: float,
    whole: bool = False,
    splits: int | None = None,
    tile: int | None = None,
    keys_at_once: int | None = None,
    warps: int = 4,
    stages: int = 3,
) -> Tensor:
    """The same by the Triton kernels; the further arguments are for tuning."""
    from dlmsample.kernels import attend

    q, k, v = (t if t.stride(-1) == 1 else t.contiguous() for t in (q, k, v))
    rows, heads, width, size = q.shape
    kv_heads = k.shape[1]
    groups = heads // kv_heads
    dim = max(16, power_of_two(size))
    queries = tile or min(most_queries(q.dtype, dim), max(16, power_of_two(groups * width)))
    tiles = -(-groups * width // queries)
    if splits is None:
        splits = split_count(rows * tiles * kv_heads, keys.shape[2])
    out = q.new_empty(rows, width, heads, size)
    parts = sums = None
    if splits > 1:
        parts = torch.empty(rows * width * heads, splits, size, dtype=torch.float32, device=q.device)
        sums = torch.empty(rows * width * heads, splits, 2, dtype=torch.float32, device=q.device)
    # Any: Triton adds the launch's own arguments, such as num_warps, to a kernel's.
    first: Any = attend.attend[(rows * tiles, kv_heads, splits + 1)]  # one more writes
    then: Any = attend.combine[(rows * width * heads,)]
    shape = {"SIZE": size, "DIM": dim, "SPLITS": splits}
    at_once = keys_at_once or max(16, min(MOST_KEYS, KEY_BYTES // (dim * q.element_size())))
    exact = "ieee" if q.dtype == torch.float32 else "tf32"
    strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *keys.stride()[:3])
    with torch.cuda.device_of(q):
        if rows:
            first(
                *(q, k, v, keys, values, start, length, out, parts, sums, scale, width, groups, tiles, *strides),
                **shape,
                QUERIES=queries,
                KEYS=at_once,
                EXACT=exact,
                BYTES=alignment(k, v, keys, values),
                WHOLE=whole,
                num_warps=warps,
                num_stages=stages,
            )
        if rows and splits > 1:
            then(parts, sums, out, **shape, num_warps=1)
    return out


def split_count(programs: int, capacity: int) -> int:
    """Stretches of the keys, with a program each: a power of two, so that few variants are compiled."""
    splits = 1
    while splits < MOST_SPLITS and 2 * programs * splits <= PROGRAMS and 2 * splits * LEAST <= capacity:
        splits *= 2
    return splits


def most_queries(dtype: torch.dtype, dim: int) -> int:
    """As many queries of a tile as leave registers and shared memory enough, on small GPUs too."""
    if dtype == torch.float32:
        return 16
    return MOST_QUERIES if dim <= 128 else MOST_QUERIES // 2


def alignment(*tensors: Tensor) -> int:
    """Bytes, at most 16, of which every vector's address is a multiple."""
    numbers = [(t.data_ptr(), *(stride * t.element_size() for stride in t.stride()[:3])) for t in tensors]
    return gcd(16, *chain.from_iterable(numbers))
