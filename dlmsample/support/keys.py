"""Keys of randomness as plain integers, for code that needs no tensors; :mod:`dlmsample.rng` draws from them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

MASK64, TOP = (1 << 64) - 1, 1 << 63


def signed(x: int) -> int:
    """The int64 with the same 64 bits as ``x``.

    Example:
        >>> signed(1), signed(2**64 - 1)
        (1, -1)
    """
    return ((x + TOP) & MASK64) - TOP


def sequence_key(seed: int, ids: Sequence[int], *counters: int) -> int:
    """A 64-bit key (as a signed int) from a seed, token ids and counters; the same on every platform.

    Example:
        >>> sequence_key(0, [1, 2, 3]) == sequence_key(0, [1, 2, 3]) != sequence_key(0, [1, 2, 3], 1)
        True
    """
    words = [signed(seed), *counters, *ids]
    digest = hashlib.blake2b(struct.pack(f"<{len(words)}q", *words), digest_size=8).digest()
    return struct.unpack("<q", digest)[0]
