"""Configurations against their baseline, on the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.figures import Measured
from dlmsample.ablate.analysis.stats import common_denominator, holm, paired_bootstrap, sign_flip_test


@dataclass(frozen=True)
class Comparison:
    """A configuration against its baseline on the examples that both have answered."""

    config: Config
    baseline: Config
    examples: int
    accuracy: float  #: on these examples
    baseline_accuracy: float
    difference: float  #: of the two
    low: float  #: 95 % paired bootstrap interval
    high: float
    p: float  #: exact McNemar test; several seeds: see :func:`dlmsample.ablate.analysis.stats.sign_flip_test`
    p_holm: float  #: Holm's adjustment over every comparison of the report
    gained: int  #: examples on which it is right more often than the baseline
    lost: int
    gains: tuple[int, ...] = ()  #: their indices
    losses: tuple[int, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether the adjusted test tells the two apart at 5 %."""
        return self.p_holm < 0.05


@dataclass(frozen=True)
class _Pair:
    """Differences of one comparison: int64 ``[example]``, in units of 1 / ``unit``."""

    measured: Measured
    baseline: Measured
    index: NDArray[np.int64]
    after: NDArray[np.int64]
    before: NDArray[np.int64]
    unit: int

    @property
    def differences(self) -> NDArray[np.int64]:
        return self.after - self.before


def compare(measured: Sequence[Measured], baselines: Mapping[str, Config], seed: int = 0) -> dict[int, Comparison]:
    """Every configuration that shares an example with its baseline, by its number; the baselines have none.

    Several seeds of a configuration: its share of right answers on an example is what is compared, so the example
    stays the unit of every interval and test.
    """
    by_number = {m.config.number: m for m in measured}
    pairs = [
        pair
        for m in measured
        if (base := baselines.get(m.config.task)) is not None
        and base.number != m.config.number
        and base.number in by_number
        and (pair := _pair(m, by_number[base.number])) is not None
    ]
    bounds = _bounds(pairs, seed)
    values = [sign_flip_test(pair.differences) for pair in pairs]
    return {
        pair.measured.config.number: _comparison(pair, low, high, p, adjusted)
        for pair, (low, high), p, adjusted in zip(pairs, bounds, values, holm(values), strict=True)
    }


def _pair(measured: Measured, baseline: Measured) -> _Pair | None:
    index, here, there = np.intersect1d(measured.index, baseline.index, assume_unique=True, return_indices=True)
    if not len(index):
        return None
    runs, base_runs = measured.runs[here], baseline.runs[there]
    unit = common_denominator(runs, base_runs)
    after, before = measured.right[here] * (unit // runs), baseline.right[there] * (unit // base_runs)
    return _Pair(measured, baseline, index, after, before, unit)


def _bounds(pairs: Sequence[_Pair], seed: int) -> list[tuple[float, float]]:
    """Bootstrap intervals; comparisons on the same number of examples share their draws and are made at once."""
    found: dict[int, tuple[float, float]] = {}
    together: dict[int, list[int]] = {}
    for at, pair in enumerate(pairs):
        together.setdefault(len(pair.index), []).append(at)
    for members in together.values():
        lows, highs = paired_bootstrap(np.stack([pairs[at].differences for at in members], 1), seed)
        for at, low, high in zip(members, lows.tolist(), highs.tolist(), strict=True):
            found[at] = low / pairs[at].unit, high / pairs[at].unit
    return [found[at] for at in range(len(pairs))]


def _comparison(pair: _Pair, low: float, high: float, p: float, p_holm: float) -> Comparison:
    examples = len(pair.index)
    whole = examples * pair.unit
    return Comparison(
        config=pair.measured.config,
        baseline=pair.baseline.config,
        examples=examples,
        accuracy=int(pair.after.sum()) / whole,
        baseline_accuracy=int(pair.before.sum()) / whole,
        difference=int(pair.differences.sum()) / whole,
        low=low,
        high=high,
        p=p,
        p_holm=p_holm,
        gained=int((pair.differences > 0).sum()),
        lost=int((pair.differences < 0).sum()),
        gains=tuple(pair.index[pair.differences > 0].tolist()),
        losses=tuple(pair.index[pair.differences < 0].tolist()),
    )
