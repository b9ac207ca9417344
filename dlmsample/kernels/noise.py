"""The counter-based generator of :mod:`dlmsample.rng` inside a kernel: the same bits."""

from __future__ import annotations

import triton
import triton.language as tl

from dlmsample import rng
from dlmsample.support.keys import MASK64

GOLDEN, MIX_1, MIX_2 = (tl.constexpr(c & MASK64) for c in (rng._GOLDEN, rng._MIX_1, rng._MIX_2))


@triton.jit
def mix(h):
    """SplitMix64's finaliser, on unsigned words: their right shift is the logical one."""
    h = (h ^ (h >> 30)) * MIX_1
    h = (h ^ (h >> 27)) * MIX_2
    return h ^ (h >> 31)


@triton.jit
def gumbel(key, index):
    """``rng.gumbel(rng.fold(key, index))``."""
    h = mix(key + (index.to(tl.uint64) + 1) * GOLDEN)
    u = ((h >> 41).to(tl.int32).to(tl.float32) + 0.5) * 1.1920928955078125e-07
    return -tl.log(-tl.log(u))
