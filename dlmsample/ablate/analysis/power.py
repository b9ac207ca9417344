"""What a paired comparison of so many examples can find, and how many examples a difference asks for."""

from __future__ import annotations

from math import ceil, log2, sqrt
from statistics import NormalDist

LEVEL = 0.05  #: of the adjusted tests, two-sided
POWER = 0.8


def fewest_flips(comparisons: int = 1) -> int:
    """How many examples must flip, all the same way, for the exact test to tell the smallest p of a family from chance.

    Rule: the smallest k with ``2 · 2^-k · comparisons < 0.05``: McNemar's exact p when all k flips agree, times what
    Holm's first step multiplies it by. With fewer examples than that no outcome whatever is significant.

    Example:
        >>> fewest_flips(), fewest_flips(8)
        (6, 9)
    """
    return int(log2(2 * comparisons / LEVEL)) + 1


def needed(difference: float, spread: float, comparisons: int = 1) -> int:
    """How many examples show a difference at a power of 80 %.

    Rule: ``n = (z_a √s + z_b √(s - d²))² / d²`` (Connor 1987, Biometrics 43, for McNemar's test), with ``z_a`` for a
    level of 5 % divided by the number of comparisons (Holm's first step) and ``z_b`` for the power; never fewer than
    :func:`fewest_flips` asks for.

    Args:
        difference: d, of the accuracies, above 0 and at most 1.
        spread: s, the mean square of the examples' differences: with one run a side the share of examples that flip.
            At least d is taken, since fewer flips cannot add up to it.
        comparisons: in the family.

    Raises: ValueError: a difference outside (0, 1].

    Example:
        >>> needed(0.05, 0.2), needed(0.1, 0.2), needed(0.05, 0.2, comparisons=10)
        (626, 155, 1062)
    """
    if not 0 < difference <= 1:
        raise ValueError(f"a difference of accuracies lies above 0 and is at most 1; got {difference!r}")
    spread = max(spread, difference)
    level = NormalDist().inv_cdf(1 - LEVEL / (2 * comparisons))
    reach = level * sqrt(spread) + NormalDist().inv_cdf(POWER) * sqrt(max(0.0, spread - difference**2))
    return max(ceil((reach / difference) ** 2), ceil(fewest_flips(comparisons) / spread))


def detectable(examples: int, spread: float, comparisons: int = 1) -> float | None:
    """The smallest difference, in whole points, that so many examples show at a power of 80 %; None: not even 100.

    Example:
        >>> detectable(626, 0.2), detectable(4, 0.2)
        (0.05, None)
    """
    points = range(1, 101)
    return next((point / 100 for point in points if needed(point / 100, spread, comparisons) <= examples), None)
