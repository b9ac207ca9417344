"""Intervals and tests for accuracies on the same examples; every draw is a function of the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054  #: 97.5 % quantile of the normal distribution
REPLICATES = 10_000
_AT_ONCE = 1 << 22  # resampled examples held in memory


def wilson(share: float, total: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share of ``total`` independent trials; ``total`` may be an effective number.

    Rule: the shares q with ``|share - q| <= z · sqrt(q (1 - q) / total)`` (Wilson 1927, J. Am. Stat. Assoc. 22).

    Raises: ValueError: total below or equal to 0, or a share outside [0, 1].

    Example:
        >>> [round(bound, 4) for bound in wilson(8 / 10, 10)]
        [0.4902, 0.9433]
    """
    if not (total > 0 and 0 <= share <= 1):
        raise ValueError(f"wilson needs a share in [0, 1] of more than 0 trials; got {share!r} of {total!r}")
    spread = z * z / total
    middle = share + spread / 2
    half = z * sqrt(share * (1 - share) / total + spread / (4 * total))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    # Exact ends: rounding must not leave the only share that was seen outside.
    return (0.0 if share == 0 else max(0.0, low)), (1.0 if share == 1 else min(1.0, high))


def effective_total(means: Floats, runs: NDArray[np.int64]) -> float:
    """How many independent trials several runs over the same examples are worth.

    Rule: ``p (1 - p) / v`` with p the mean of ``means`` and v its variance when examples are drawn, kept between the
    number of examples (runs that always agree) and the number of trials (runs as good as independent). One run:
    exactly the number of examples, so that :func:`wilson` is the plain one (Dean and Pagano 2015, J. Surv. Stat.
    Methodol. 3).

    Args:
        means: float64 ``[example]``, share of right answers over the runs of an example.
        runs: ``[example]``, how many runs that is.

    Example:
        >>> effective_total(np.array([1.0, 0.0, 1.0]), np.ones(3)), effective_total(np.array([0.5, 0.5]), np.full(2, 2))
        (3.0, 4.0)
    """
    examples, trials = len(means), float(runs.sum())
    if trials == examples or examples < 2:
        return float(examples)
    share = float(means.mean())
    variance = float(means.var(ddof=1)) / examples
    if variance == 0:
        return trials if 0 < share < 1 else float(examples)
    return min(max(share * (1 - share) / variance, float(examples)), trials)


def sign_flip_test(differences: NDArray[np.int64]) -> float:
    """Two-sided exact p of "either side is as good": every example's difference is as likely with the other sign.

    Rule: ``P(|Σ ±d_i| >= |Σ d_i|)`` over all signs. Differences of -1, 0 and 1 (one run a side): McNemar's exact
    test, a binomial of 1/2 over the examples that flipped (McNemar 1947, Psychometrika 12). Several runs a side: the
    example stays the unit, its difference being that of its means, so runs of one example are never taken as
    independent evidence.

    Args:
        differences: int64 ``[example]``, in units of the common denominator of the means.

    Returns:
        p in (0, 1]; 1 where nothing differs.

    Example:
        >>> sign_flip_test(np.array([1, 1, 1, 1, 1, -1, 0, 0])), 2 * (1 + 6) / 2**6
        (0.21875, 0.21875)
    """
    reached = abs(int(differences.sum()))
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    chances = np.ones(1)  # of the sum, from -reach to reach in steps of one
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        own = np.zeros(2 * size * count + 1)
        own[:: 2 * size] = _fair_binomial(count)
        chances = np.convolve(chances, own)
    reach = len(chances) // 2
    far = np.abs(np.arange(-reach, reach + 1)) >= reached
    return min(1.0, float(chances[far].sum()))


def _fair_binomial(trials: int) -> Floats:
    """Chances of 0 to ``trials`` heads, each rounded once."""
    ways, whole, chances = 1, 1 << trials, []
    for heads in range(trials + 1):
        chances.append(ways / whole)
        ways = ways * (trials - heads) // (heads + 1)
    return np.array(chances)


def paired_bootstrap(
    differences: NDArray[np.int64], seed: int = 0, replicates: int = REPLICATES
) -> tuple[Floats, Floats]:
    """95 % percentile bootstrap interval of mean differences, examples drawn with replacement.

    The columns share their draws (common random numbers). Whole numbers are summed, so the result is the same on
    every machine; the draws are Philox's raw stream under ``seed``.

    Args:
        differences: int64 ``[example, comparison]``.

    Returns:
        Lower and upper bound, float64 ``[comparison]``, in the unit of ``differences``.

    Raises: ValueError: no examples.

    Example:
        >>> low, high = paired_bootstrap(np.array([[1], [0], [0], [1]]))
        >>> low.tolist(), high.tolist()
        ([0.0], [1.0])
    """
    examples = differences.shape[0]
    low, high = np.quantile(resampled_sums(differences, seed, replicates) / max(examples, 1), [0.025, 0.975], axis=0)
    return low, high


def resampled_sums(table: NDArray[np.int64], seed: int = 0, replicates: int = REPLICATES) -> Floats:
    """Sums of columns over examples drawn with replacement, the same draws for all columns.

    Whole numbers are summed, so the result is the same on every machine; the draws are Philox's raw stream under
    ``seed``, and depend on it and the number of examples alone.

    Args:
        table: int64 ``[example, column]``.

    Returns:
        float64 ``[replicate, column]``.

    Raises: ValueError: no examples.
    """
    examples, columns = table.shape
    if not examples:
        raise ValueError("a bootstrap needs at least one example on both sides")
    stream, whole = np.random.Philox(key=seed), table.astype(np.float64)
    sums = np.empty((replicates, columns))
    step = max(1, _AT_ONCE // examples)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = (stream.random_raw(rows * examples) % np.uint64(examples)).astype(np.int64)
        cells = drawn + np.repeat(np.arange(rows) * examples, examples)
        counts = np.bincount(cells, minlength=rows * examples).reshape(rows, examples)
        sums[start : start + rows] = counts.astype(np.float64) @ whole
    return sums


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p values of one family (Holm 1979, Scand. J. Stat. 6).

    Rule: sorted ascending, ``max over j <= i of min(1, (m - j + 1) · p_j)``; order is kept in the result.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(np.asarray(values, dtype=np.float64), kind="stable")
    factors = np.arange(len(values), 0, -1)
    raised = np.minimum(1.0, np.maximum.accumulate(np.asarray(values, dtype=np.float64)[order] * factors))
    adjusted = np.empty(len(values))
    adjusted[order] = raised
    return adjusted.tolist()


def common_denominator(*runs: NDArray[np.int64]) -> int:
    """The least number of which every count of runs is a divisor: means over runs are whole multiples of its inverse.

    Example:
        >>> common_denominator(np.array([1, 2]), np.array([3]))
        6
    """
    return lcm(*(int(count) for part in runs for count in np.unique(part)))
