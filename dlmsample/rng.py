"""Counter-based randomness: a draw is a pure function of integers, so it never depends on batch, order or device.

A *key* is an int64 tensor (or, for a whole sequence, one Python int made by :func:`sequence_key`). ``fold``
mixes counters into it, ``uniform`` and ``gumbel`` turn it into numbers. Only integer tensor operations that
wrap at 64 bits are used, so every device computes the same bits and nothing has to be synchronised.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlmsample.support.keys import MASK64, TOP
from dlmsample.support.keys import sequence_key as sequence_key

#: The first counter that is folded into a step's key says which draw it is. A policy's own begin at ``OWN``: with a
#: smaller one they would be the same numbers as another draw of the step, such as the noise of sampled tokens.
SAMPLE, FILL_ORDER, ERROR_SCORE, OWN = range(4)

_GOLDEN, _MIX_1, _MIX_2 = (c - 2 * TOP for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical (not arithmetic) shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def fold(key: Tensor, *counters: Tensor | int) -> Tensor:
    """Mix integer counters into keys, one after another (SplitMix64's finaliser); shapes broadcast.

    Example:
        >>> import torch
        >>> key = torch.tensor([1, 2])
        >>> bool((fold(key, 7) == torch.stack([fold(key[0], 7), fold(key[1], 7)])).all())
        True
    """
    for counter in counters:
        # (counter + 1) · golden, so written that torch.compile does not take it for an index, which has 32 bits
        step = ~counter * -_GOLDEN
        key = key + (step if isinstance(step, Tensor) else ((step + TOP) & MASK64) - TOP)  # the int64 of the same bits
        key = (key ^ _shift_right(key, 30)) * _MIX_1
        key = (key ^ _shift_right(key, 27)) * _MIX_2
        key = key ^ _shift_right(key, 31)
    return key


def uniform(key: Tensor) -> Tensor:
    """float32 draws strictly inside (0, 1), one for each key: the top 23 bits, centred in their cell."""
    return (_shift_right(key, 41).to(torch.float32) + 0.5) * 2.0**-23


def draw(key: Tensor, *counters: Tensor | int) -> Tensor:
    """:func:`uniform` of a key that counters are folded into: the usual way to a number."""
    return uniform(fold(key, *counters))


def gumbel(key: Tensor) -> Tensor:
    """Standard Gumbel draws (float32), one for each key; ``argmax(logits + gumbel)`` samples from softmax(logits)."""
    return -torch.log(-torch.log(uniform(key)))
