"""What a claim may compare: each measure is a ratio of two sums over examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dlmsample.ablate.analysis.last_mile import last_mile
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
    """Index -> both terms of an example, summed over its seeds."""
    terms, found = MEASURES[measure].terms, {}
    for result in results:
        first, second = terms(result)
        old = found.get(result.index, (0, 0))
        found[result.index] = (old[0] + int(first), old[1] + int(second))
    return found
