"""Examples that flipped: right under one configuration, wrong under the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest

from dlmsample.ablate.storage.records import ExampleResult


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


Runs = Mapping[int, Sequence[ExampleResult]]  #: seed -> results, by index
_Answers = Mapping[int, Mapping[int, ExampleResult]]  # index -> seed -> result


def flips(before: Runs, after: Runs, limit: int) -> Flips:
    """Flips of the examples that both have answered; of both kinds in turn, the first by index, up to ``limit``.

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
    """The first of both kinds in turn, up to ``limit``; sorted.

    Example:
        >>> in_turn([0, 1, 2], [9], 3)
        [0, 1, 9]
    """
    return sorted([index for turn in zip_longest(gained, lost) for index in turn if index is not None][:limit])


def _by_example(runs: Runs) -> _Answers:
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
