"""AUP, the area under an accuracy-parallelism curve, and comparisons at equal accuracy, with bootstrap intervals.

A *series* is one checkpoint under one policy, a point for each value of the option that makes it faster. Parallelism is
tokens a forward: all generated tokens up to the EOS over all forwards, those that only write a block to the cache
included, prompts apart. Intervals: 1,000 resamples of the problems, the same for all points (paired), seed 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
REPLICATES = 1000
ALPHA, OFFSET = 3.0, 5.0
"""Of arXiv:2601.07568: the penalty factor, and how many points of accuracy below the slowest cell still count."""


class Problems(NamedTuple):
    """What one cell did on each problem, the same problems in all cells."""

    right: NDArray[np.int64]
    tokens: NDArray[np.int64]
    nfe: NDArray[np.int64]


def aup(points: Sequence[tuple[float, float]], best: float) -> float:
    """Accuracy under parallelism of (tokens a forward, accuracy in percent) pairs.

    Rule (arXiv:2601.07568): with ρ ascending, points with ``y_i >= y_1 - 5`` count;
    ``ρ_1 y_1 + ½ Σ (ρ_i - ρ_{i-1}) (y_i W(y_i) + y_{i-1} W(y_{i-1}))``, ``W(y) = min(exp(-3 (1 - y / best)), 1)``.
    Their code refuses a series whose fastest point lies below ``y_1 - 5``; here it is left out, as in their text.

    Args:
        points: in any order.
        best: the highest accuracy on the task, of all methods.

    Raises:
        ValueError: no point, or no accuracy above 0 anywhere.

    Example:
        >>> aup([(1.0, 80.0), (3.0, 80.0)], 80.0), aup([(1.0, 80.0), (3.0, 74.0)], 80.0)
        (240.0, 80.0)
    """
    if not points or best <= 0:
        raise ValueError("AUP needs a point, and a best accuracy above 0")
    ordered = sorted(points)
    kept = [(rho, y) for rho, y in ordered if y >= ordered[0][1] - OFFSET]
    weighted = [y * min(math.exp(-ALPHA * (1 - y / best)), 1.0) for _, y in kept]
    total = kept[0][0] * kept[0][1]
    for at in range(1, len(kept)):
        total += 0.5 * (kept[at][0] - kept[at - 1][0]) * (weighted[at] + weighted[at - 1])
    return total


def resampled(cells: Sequence[Problems], replicates: int = REPLICATES) -> tuple[Floats, Floats]:
    """Tokens a forward and accuracy in percent, float64 ``[1 + replicates, cell]``; first those of the problems."""
    n = len(cells[0].right)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), replicates)
    counts = np.concatenate([np.ones((1, n), dtype=counts.dtype), counts])
    right, tokens, nfe = (counts @ np.stack([getattr(c, name) for c in cells]).T for name in Problems._fields)
    return tokens / np.maximum(nfe, 1), 100 * right / n


def bounds(values: Floats) -> dict[str, float]:
    """The first value, and the 95 % interval of the others."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return {"value": round(float(values[0]), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def areas(series: Mapping[tuple[str, str], Sequence[int]], rho: Floats, accuracy: Floats) -> list[dict[str, Any]]:
    """AUP of every (checkpoint, series), given the columns of its cells; ``best`` is the best of all cells."""
    best = accuracy.max(1)
    found = []
    for (checkpoint, name), columns in series.items():
        values = [
            aup(list(zip(rho[at, columns].tolist(), accuracy[at, columns].tolist(), strict=True)), float(best[at]))
            if best[at] > 0
            else 0.0
            for at in range(len(rho))
        ]
        found.append({"checkpoint": checkpoint, "series": name, "points": len(columns), **bounds(np.array(values))})
    return found


def equal_accuracy(
    series: Mapping[tuple[str, str], Sequence[int]],
    names: Sequence[str],
    rho: Floats,
    accuracy: Floats,
    checkpoint: str,
    margin: float = 1.0,
) -> list[dict[str, Any]]:
    """Of each series that ``checkpoint`` shares with the base: its fastest cell against the base's, at equal accuracy.

    Rule: from either, the fastest cell whose accuracy is at most ``margin`` points below the base's best of that
    series. The cells are chosen on the problems they are compared on, so the bounds do not cover the choice.

    Args:
        series: columns of each (checkpoint, series).
        names: of all cells.
        rho: of :func:`resampled`.
        accuracy: of :func:`resampled`.
        checkpoint: the adapter's.
        margin: points.
    """
    found = []
    for (owner, name), columns in series.items():
        if owner != "base" or (checkpoint, name) not in series:
            continue
        least = accuracy[0, columns].max() - margin
        pair = [
            max((at for at in given if accuracy[0, at] >= least), key=lambda at: rho[0, at], default=None)
            for given in (columns, series[checkpoint, name])
        ]
        record: dict[str, Any] = {"checkpoint": checkpoint, "series": name, "least_accuracy": round(float(least), 1)}
        base, other = pair
        if base is not None and other is not None:
            record |= {"base": names[base], "cell": names[other]}
            record["tokens_per_forward_ratio"] = bounds(rho[:, other] / np.maximum(rho[:, base], 1e-9))
            record["points"] = bounds(accuracy[:, other] - accuracy[:, base])
        found.append(record)
    return found
