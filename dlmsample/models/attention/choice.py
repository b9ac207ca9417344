"""Which reader makes the forwards of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlmsample.models.attention.approximate import APPROXIMATIONS, ApproximateReader
from dlmsample.models.attention.base import Reader
from dlmsample.models.attention.cached import CachedReader
from dlmsample.models.attention.whole import WholeReader
from dlmsample.models.denoiser import Denoiser
from dlmsample.models.fusion.fuse import is_fused
from dlmsample.types import CacheKind


def cache_kind(model: Denoiser, cache: bool | str) -> CacheKind:
    """The cache that a Sampler's ``cache`` argument means on this checkpoint.

    Example:
        >>> import dlmsample as ds
        >>> cache_kind(ds.load("nano"), True)
        'exact'
    """
    if isinstance(cache, str):
        return next(kind for kind in APPROXIMATIONS if kind == cache)
    exact = cache and model.facts.attention == "block_causal" and model.interface.kind == "decoder"
    return "exact" if exact else "none"


def open_reader(
    model: Denoiser,
    rows: int,
    capacity: int,
    *,
    cache: CacheKind,
    score: bool,
    shadow: int = 0,
    refresh: int | None = None,
    suffix: int | None = None,
    captured: bool = False,
    behind: int = 0,
    answer: Callable[[Tensor], Tensor] | None = None,
) -> Reader:
    """The reader for a batch that has no rows yet.

    Args:
        model: the checkpoint.
        rows: of the batch, at most.
        capacity: positions of a row at most, one block's width of spare ones included.
        cache: see :func:`cache_kind`.
        score: also run the model's correction head.
        shadow: positions of a block, to also give the logits of its shadows; 0: none.
        refresh: of an approximate cache, forwards from one whole forward to the next.
        suffix: of an approximate cache, positions behind the active block that exist for a forward; None: all.
        captured: forwards are captured as CUDA graphs: the fewer shapes they have the better.
        behind: without a cache, also give the logits of so many blocks behind each active one.
        answer: without a cache, what to make of the logits of the whole answer, see :class:`WholeReader`.
    """
    if cache == "none":
        return WholeReader(model, score, shadow > 0, behind, answer)
    wanted = (captured or is_fused(model.module)) and not shadow  # the operation over the cache knows no masks
    if wanted and not torch.is_autocast_enabled(model.device.type):  # else keys would not have the cache's dtype
        # not at the top: it imports what all models of transformers need, which takes seconds
        from dlmsample.models.attention.in_place import InPlaceApproximateReader, InPlaceReader, in_place

        if in_place(model):
            if cache == "exact":
                return InPlaceReader(model, rows, capacity, score)
            return InPlaceApproximateReader(model, rows, capacity, cache, refresh, score, suffix)
    if cache == "exact":
        return CachedReader(model, rows, capacity, score, shadow)
    return ApproximateReader(model, rows, capacity, cache, refresh, score, suffix)
