"""What a claim may compare: ratios of sums, and their differences between configurations with bootstrap intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmsample.ablate.analysis.figures import last_mile
from dlmsample.ablate.analysis.stats import Floats, resampled_sums, sign_flip_test
from dlmsample.ablate.storage.records import ExampleResult


class Ratio(NamedTuple):
    """A measure: ``scale`` · Σ first / Σ second over the answers."""

    heading: str
    scale: float
    terms: Callable[[ExampleResult], tuple[int, int]]


def _corrupted(result: ExampleResult) -> bool:
    return not result.correct and bool(last_mile(result.text, result.answer))


#: Name in a claims file -> measure.
MEASURES: dict[str, Ratio] = {
    "accuracy": Ratio("accuracy %", 100, lambda r: (r.correct, 1)),
    "edits_per_100": Ratio("edits/100 tokens", 100, lambda r: (r.replaces + r.remasks, r.tokens)),
    "remasks": Ratio("remasks an answer", 1, lambda r: (r.remasks, 1)),
    "steps": Ratio("steps", 1, lambda r: (r.steps, 1)),
    "nfe": Ratio("forwards", 1, lambda r: (r.nfe, 1)),
    "tokens": Ratio("tokens", 1, lambda r: (r.tokens, 1)),
    "no_end": Ratio("answers without an end %", 100, lambda r: (r.finish_reason == "length", 1)),
    "last_mile": Ratio("answers with last-mile corruption %", 100, lambda r: (_corrupted(r), 1)),
    "last_mile_share": Ratio("last mile, of wrong answers %", 100, lambda r: (_corrupted(r), not r.correct)),
    "other_errors": Ratio("other wrong answers %", 100, lambda r: (not r.correct and not _corrupted(r), 1)),
}


def sums(measure: str, results: Iterable[ExampleResult]) -> dict[int, tuple[int, int]]:
    """For each example, by its index, both terms of the ratio, summed over the seeds."""
    terms, found = MEASURES[measure].terms, {}
    for result in results:
        first, second = terms(result)
        old = found.get(result.index, (0, 0))
        found[result.index] = (old[0] + int(first), old[1] + int(second))
    return found


SIGNS = (1, -1, -1, 1)  #: of the sides of a contrast: a - b, and minus (c - d) where there are four
_UNDEFINED = 0.05  # more replicates without a value than that: the interval is not defined

Sums = Mapping[int, tuple[int, int]]  #: index -> both terms of a ratio


@dataclass(frozen=True)
class Contrast:
    """What to compare: one, two or four sides, and a number that is subtracted from the result."""

    measure: str
    sides: tuple[Sums, ...]
    than: float = 0.0
    family: int = 1  #: contrasts that are judged together


@dataclass(frozen=True)
class MeasuredContrast:
    """A contrast in the unit of its measure; nothing is defined where a ratio has no denominator."""

    examples: int  #: that all sides have answered
    values: tuple[float | None, ...]  #: of the sides, on these examples
    difference: float | None
    low: float | None  #: 95 % paired bootstrap interval, percentiles
    high: float | None
    wide_low: float | None  #: the same for 1 - 5 % / family (Bonferroni)
    wide_high: float | None
    p: float | None = None  #: exact sign-flip test (McNemar's) of two accuracies, unadjusted


def measure_contrasts(contrasts: Sequence[Contrast], seed: int = 0) -> list[MeasuredContrast]:
    """Measure contrasts; those on the same examples share their draws and are resampled together.

    Rule: examples are drawn with replacement, 10,000 times; each time both sums of every ratio are taken over them,
    and the contrast of the ratios.

    Example:
        >>> right, wrong = {0: (1, 1), 1: (1, 1)}, {0: (0, 1), 1: (0, 1)}
        >>> found = measure_contrasts([Contrast("accuracy", (right, wrong))])[0]
        >>> found.values, found.difference, found.low, found.high
        ((100.0, 0.0), 100.0, 100.0, 100.0)
    """
    shared = [_shared(contrast) for contrast in contrasts]
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, index in enumerate(shared):
        groups[index].append(at)
    found: dict[int, MeasuredContrast] = {}
    for index, members in groups.items():
        columns: dict[tuple[int, str], int] = {}  # configurations that several contrasts use are summed once
        tables: list[NDArray[np.int64]] = []
        for at in members:
            for side in contrasts[at].sides:
                if (id(side), contrasts[at].measure) not in columns and index:
                    columns[id(side), contrasts[at].measure] = 2 * len(tables)
                    tables.append(np.array([side[i] for i in index], dtype=np.int64))
        if not index:
            found |= {at: MeasuredContrast(0, (None,) * len(contrasts[at].sides), *[None] * 5) for at in members}
            continue
        table = np.concatenate(tables, axis=1)
        drawn = np.concatenate([table.sum(axis=0, keepdims=True).astype(np.float64), resampled_sums(table, seed)])
        for at in members:
            picked = [columns[id(side), contrasts[at].measure] for side in contrasts[at].sides]
            sides = [table[:, p : p + 2] for p in picked]
            chance = _chance(sides) if contrasts[at].measure == "accuracy" and len(sides) == 2 else None
            found[at] = replace(_measured(contrasts[at], len(index), [drawn[:, p : p + 2] for p in picked]), p=chance)
    return [found[at] for at in range(len(contrasts))]


def _shared(contrast: Contrast) -> tuple[int, ...]:
    return tuple(sorted(set.intersection(*(set(side) for side in contrast.sides))))


def _chance(sides: Sequence[NDArray[np.int64]]) -> float | None:
    """p of two accuracies; None where examples have different numbers of answers."""
    (right, runs), (other, others) = sides[0].T, sides[1].T
    return sign_flip_test(right - other) if len({*runs.tolist(), *others.tolist()}) == 1 else None


def _measured(contrast: Contrast, examples: int, drawn: Sequence[Floats]) -> MeasuredContrast:
    """``drawn``: per side float64 ``[1 + replicate, term]``, the first row of the examples as they are."""
    scale = MEASURES[contrast.measure].scale
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.where(pair[:, 1] > 0, scale * pair[:, 0] / pair[:, 1], np.nan) for pair in drawn]
    signs = np.array(SIGNS[: len(ratios)], dtype=np.float64)
    whole = signs @ np.stack(ratios) - contrast.than
    values = tuple(None if np.isnan(ratio[0]) else float(ratio[0]) for ratio in ratios)
    tried, difference = whole[1:], whole[0]
    if np.isnan(difference) or np.isnan(tried).mean() > _UNDEFINED:
        return MeasuredContrast(examples, values, None if np.isnan(difference) else float(difference), *[None] * 4)
    tail = 0.025 / contrast.family
    bounds = np.nanquantile(tried, [0.025, 0.975, tail, 1 - tail])
    return MeasuredContrast(examples, values, float(difference), *(float(bound) for bound in bounds))
