"""The cells of the whole comparison, those most wanted first.

What they are likely to take on one H200, first run and two counted ones, in seconds: LLaDA-8B made block-causal, a
peer 5 at batch 1, 10 at 8, 19 at 32, 75 at 128; ours 7, 7, 11, 30, with 3,840 new tokens 16 at batch 1 and 35 at 8;
its whole canvas 7 at batch 1, 18 at 8; LLaDA2-mini, a peer 7 at batch 1; nano 3 each. To these come 20 until the
first cell, what is compiled, and 5 to 10 for each change of shape: up to nano's last cell about 450, all of it 850.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

BATCHES = (1, 8, 32, 128)
PREFIX = ("llada2", "diffusers")
MAIN = "llada_8b_causal"
NEW, LONG_NEW = 256, 3840
"""New tokens: with a prompt of 128 the longer ones fill LLaDA-8B's context of 4,096 but for one coarse step."""
_SMALL_NEW = {NEW: 64, LONG_NEW: 128}
_SMALL_BATCH = {1: 1, 8: 2, 32: 3, 128: 4}


class Wanted(NamedTuple):
    """A cell."""

    shape: str
    batch: int
    peer: str
    new: int


def _all(shape: str, batches: Iterable[int], peers: Iterable[str], new: int = NEW) -> list[Wanted]:
    return [Wanted(shape, batch, peer, new) for batch in batches for peer in peers]


_ORDER = [
    *_all(MAIN, (1, 8, 32), ("llada2", "ours_fused", "diffusers", "ours")),
    *_all(MAIN, (1, 8), ("ours_fused",), LONG_NEW),
    *_all(MAIN, (128,), ("ours_fused",)),
    *_all("llada_8b", (1,), ("llada", "ours_fused", "ours", "ours_prefix", "ours_dual")),
    *_all("llada2_mini", (1,), ("llada2", "ours_fused", "diffusers", "ours")),
    *_all("llada2_mini", (8, 32), ("llada2", "ours_fused", "diffusers")),
    *_all("sdar_4b", (1,), ("llada2", "ours_fused", "diffusers", "ours")),
    *_all("nano", (1,), ("llada2", "ours_fused", "diffusers", "ours")),
    *_all("nano", (8, 32, 128), ("llada2", "ours_fused", "diffusers")),
    *_all("sdar_4b", (8, 32), ("llada2", "ours_fused", "diffusers")),
    *_all("sdar_4b", (128,), ("ours_fused",)),
    *_all("llada2_mini", (128,), ("ours_fused", "llada2", "diffusers")),
    *_all("llada_8b", (8,), ("llada", "ours_fused", "ours_dual", "ours_prefix", "ours")),
    *_all(MAIN, (128,), PREFIX),
    *_all(MAIN, (1, 8, 32), ("ours_plain",)),
    *_all("llada_8b", (32,), ("ours_fused", "llada", "ours_dual")),
    *_all(MAIN, (128,), ("ours",)),
    *_all("sdar_4b", (128,), PREFIX),
    *_all("llada_8b", (1, 8), ("ours_dual_fused", "ours_prefix_fused")),
    *_all("llada_8b", (32,), ("ours_dual_fused", "ours_prefix_fused", "ours_prefix")),
    *_all("llada_8b", (1,), ("ours_dual_plain",)),
]

#: What the approximate caches give beside the exact one of the same body made block-causal; about three minutes on one
#: H100, a third of them for compiling, those that take longest last.
_APPROXIMATE = [
    *_all(MAIN, (1,), ("ours", "ours_fused")),
    *_all("llada_8b", (1,), ("ours_dual_plain", "ours_dual", "ours_dual_fused", "ours_prefix", "ours_prefix_fused")),
    *_all(MAIN, (8,), ("ours", "ours_fused")),
    *_all("llada_8b", (8,), ("ours_dual", "ours_dual_fused")),
    *_all(MAIN, (32,), ("ours", "ours_fused")),
    *_all("llada_8b", (32,), ("ours_dual", "ours_dual_fused")),
    *_all("llada_8b", (8, 32), ("ours_prefix_fused", "ours_prefix")),
]
ORDERS = {"usual": _ORDER, "approximate": _APPROXIMATE}


def order(small: bool = False, cells: str = "usual") -> list[Wanted]:
    """All cells of one of ``ORDERS``; ``small``: with few rows and tokens.

    Example:
        >>> order()[0]
        Wanted(shape='llada_8b_causal', batch=1, peer='llada2', new=256)
    """
    if not small:
        return list(ORDERS[cells])
    return [want._replace(batch=_SMALL_BATCH[want.batch], new=_SMALL_NEW[want.new]) for want in ORDERS[cells]]


def usual_new(small: bool) -> int:
    """New tokens, where the command line does not say."""
    return _SMALL_NEW[NEW] if small else NEW
