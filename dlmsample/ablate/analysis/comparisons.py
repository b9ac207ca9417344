"""Configurations against their baseline on the same examples, and the examples that flipped between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.configs import Config
from dlmsample.ablate.analysis.figures import MeasuredConfig
from dlmsample.ablate.analysis.stats import common_denominator, holm, paired_bootstrap, sign_flip_test
from dlmsample.ablate.storage.records import ExampleResult


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
    spread: float = 0.0  #: mean square of the examples' differences; one run a side: the share that flipped
    gains: tuple[int, ...] = ()  #: their indices
    losses: tuple[int, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether the adjusted test tells the two apart at 5 %."""
        return self.p_holm < 0.05


@dataclass(frozen=True)
class _Pair:
    """Differences of one comparison: int64 ``[example]``, in units of 1 / ``unit``."""

    measured: MeasuredConfig
    baseline: MeasuredConfig
    index: NDArray[np.int64]
    after: NDArray[np.int64]
    before: NDArray[np.int64]
    unit: int

    @property
    def differences(self) -> NDArray[np.int64]:
        return self.after - self.before


def compare(
    measured: Sequence[MeasuredConfig], baselines: Mapping[str, Config], seed: int = 0
) -> dict[int, Comparison]:
    """Compare every configuration to its baseline, if both have answered an example; the keys are their numbers.

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


def _pair(measured: MeasuredConfig, baseline: MeasuredConfig) -> _Pair | None:
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
        spread=int((pair.differences**2).sum()) / (whole * pair.unit),
        gains=tuple(pair.index[pair.differences > 0].tolist()),
        losses=tuple(pair.index[pair.differences < 0].tolist()),
    )


@dataclass(frozen=True)
class Flip:
    """One example under the baseline (before) and under the other configuration (after)."""

    gained: bool  #: wrong before, right after; else the other way round
    before: ExampleResult
    after: ExampleResult
    before_seed: int
    after_seed: int


@dataclass(frozen=True)
class Flips:
    """The flips of one comparison: some of them, and how many there are."""

    shown: tuple[Flip, ...]  #: by index
    gained: int
    lost: int

    @property
    def left_out(self) -> int:
        """Flips that are not shown."""
        return self.gained + self.lost - len(self.shown)


SeedResults = Mapping[int, Sequence[ExampleResult]]  #: seed -> results, by index
_Answers = Mapping[int, Mapping[int, ExampleResult]]  # index -> seed -> result


def flips(before: SeedResults, after: SeedResults, limit: int) -> Flips:
    """The examples that flipped, of those that both have answered; gained and lost ones in turn, up to ``limit``.

    Several seeds: an example flipped where the shares of right answers differ; shown is one right and one wrong
    answer, of the same seed if there is such a pair.
    """
    old, new = _by_example(before), _by_example(after)
    gained, lost = [], []
    for index in sorted(old.keys() & new.keys()):
        change = _share(new, index) - _share(old, index)
        if change:
            (gained if change > 0 else lost).append(index)
    shown = tuple(_flip(old[index], new[index], index in gained) for index in in_turn(gained, lost, limit))
    return Flips(shown, len(gained), len(lost))


def in_turn(gained: Sequence[int], lost: Sequence[int], limit: int) -> list[int]:
    """Indices of gained and lost examples, taken in turn from the front of each until there are ``limit``; sorted.

    Example:
        >>> in_turn([0, 1, 2], [9], 3)
        [0, 1, 9]
    """
    return sorted([index for turn in zip_longest(gained, lost) for index in turn if index is not None][:limit])


def _by_example(runs: SeedResults) -> _Answers:
    found: dict[int, dict[int, ExampleResult]] = {}
    for seed, results in runs.items():
        for result in results:
            found.setdefault(result.index, {})[seed] = result
    return found


def _share(answers: _Answers, index: int) -> float:
    return sum(r.correct for r in answers[index].values()) / len(answers[index])


def _flip(before: Mapping[int, ExampleResult], after: Mapping[int, ExampleResult], gained: bool) -> Flip:
    pairs = [
        (old, new)
        for old, new in product(sorted(before), sorted(after))
        if before[old].correct is not gained and after[new].correct is gained
    ]
    old, new = min(pairs, key=lambda pair: pair[0] != pair[1])
    return Flip(gained, before[old], after[new], old, new)
