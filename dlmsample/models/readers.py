"""Which reader serves a batch."""

from __future__ import annotations

from torch import Tensor

from dlmsample.models.approximate import APPROXIMATIONS, ApproximateReader
from dlmsample.models.base import Denoiser
from dlmsample.models.reader import CachedReader, Layout, Reader, WholeReader
from dlmsample.types import CacheKind


def cache_kind(model: Denoiser, cache: bool | str) -> CacheKind:
    """What a Sampler's ``cache`` comes to on this checkpoint.

    Example:
        >>> import dlmsample as ds
        >>> cache_kind(ds.load("nano"), True)
        'exact'
    """
    if isinstance(cache, str):
        return next(kind for kind in APPROXIMATIONS if kind == cache)
    exact = cache and model.attention == "block_causal" and model.reads.kind == "decoder"
    return "exact" if exact else "none"


def open_reader(
    model: Denoiser,
    canvas: Tensor,
    layout: Layout,
    prefill: int,
    *,
    cache: CacheKind,
    score: bool,
    refresh: int | None = None,
) -> Reader:
    """The reader for a batch.

    Args:
        model: the checkpoint.
        canvas: int64 ``[row, pos]``, with one block's width of spare positions behind the longest row.
        layout: where the rows stand.
        prefill: the largest ``layout.first``, known to the host.
        cache: see :func:`cache_kind`.
        score: also run the model's correction head.
        refresh: of an approximate cache, forwards from one whole forward to the next.
    """
    if cache == "exact":
        return CachedReader(model, canvas, layout, prefill, score)
    if cache == "none":
        return WholeReader(model, score)
    return ApproximateReader(model, canvas, cache, refresh)
